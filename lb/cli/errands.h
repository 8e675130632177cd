#pragma once

#include <curl/curl.h>

#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lb/cli/client.h"
#include "lb/cli/request_handle.h"

namespace weir {

/// Requests to a running Weir beside other things that are waited for, on one thread. Those that are under
/// way when it ends are given up.
class Errands {
 public:
  using Query = AdminClient::Query;
  using Done = std::function<void(Result<AdminReply>)>;

  explicit Errands(std::string socket) : socket_(std::move(socket)), multi_(curl_multi_init()) {}
  ~Errands();
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;

  /// `done` is called by wait(), once, with what AdminClient::request() would return; a full queue of the
  /// daemon's is an error at once. It may begin others.
  void begin(const std::string& method, const std::vector<std::string>& path, const Query& query,
             const std::string& body, Millis patience, Done done);
  /// Until one is over, one of `others` (descriptors; -1 is none) is readable, or the time is.
  void wait(std::span<const int> others, Millis at_most);

 private:
  struct MultiEnd {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };
  struct Errand {
    Errand(const std::string& socket, Millis patience, const std::string& method,
           const std::vector<std::string>& path, const Query& query, const std::string& body, Done then)
        : handle(socket, patience, method, path, query, body), done(std::move(then)) {}
    RequestHandle handle;
    Done done;
  };
  void finish(CURL* handle, CURLcode code);

  std::string socket_;
  std::unique_ptr<CURLM, MultiEnd> multi_;
  std::list<Errand> under_way_;
};

}  // namespace weir
