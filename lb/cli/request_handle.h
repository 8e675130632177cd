#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lb/base/duration.h"
#include "lb/cli/client.h"

namespace weir {

struct CurlEnd {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// libcurl's handle of one request to the admin socket, and what has come of its answer. At one address, as
/// the handle writes into it.
class RequestHandle {
 public:
  RequestHandle(std::string socket, Millis patience, const std::string& method,
                const std::vector<std::string>& path, const AdminClient::Query& query, std::string body);
  RequestHandle(const RequestHandle&) = delete;
  RequestHandle& operator=(const RequestHandle&) = delete;

  CURL* get() const { return curl_.get(); }  ///< null: libcurl could not be started
  /// "Name: value"; before it is performed.
  void add_header(const std::string& line);
  /// A full backlog has refused the connection: it may be tried again.
  bool backlog_full(CURLcode code) const;
  /// Once it is over, with that code.
  Result<AdminReply> result(CURLcode code);

 private:
  std::string escaped(const std::string& text) const;

  std::string socket_, body_, answer_;
  Millis patience_;
  std::unique_ptr<CURL, CurlEnd> curl_;
  std::unique_ptr<curl_slist, CurlEnd> headers_;
};

}  // namespace weir
