#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lb/base/error.h"
#include "lb/base/fd.h"
#include "lb/net/loop.h"

namespace weir {

/// A request to the admin API, bounded and decoded. Text is as the caller sent it: any bytes.
struct HttpRequest {
  std::string method;
  std::vector<std::string> path;  ///< "/v1/pools/a%2Fb" is {"v1", "pools", "a/b"}
  std::map<std::string, std::string, std::less<>> query;
  std::string body;
  /// Who has connected, by SO_PEERCRED; nothing where the kernel does not say.
  struct Peer {
    uid_t uid;
    pid_t pid;
    /// Root, or the user Weir runs as.
    bool privileged() const;
  };
  std::optional<Peer> peer;
  std::string caller;    ///< "uid 1000, pid 4711", for the log
  std::string operated;  ///< the header Weir-Operator: on whose behalf, as the caller says; "" = none
};

struct HttpResponse {
  int status = 200;
  std::string body;  ///< JSON
};

/// Serves HTTP/1.1 on a listening socket from a Loop: libmicrohttpd with its epoll set watched by ours, so
/// that no thread is added, and connections that are accepted here. The loop's thread only.
///
/// Bounded: the places and times of HttpPlaces, 64 KiB of body (where the owner says so more, and 32 MiB for
/// all at once), 32 KiB for a request's head. A caller for whom there is no place gets a 503.
class HttpServer {
 public:
  /// Answers once, now or later, on the loop's thread; not after the server is gone.
  using Answer = std::function<void(HttpResponse)>;
  using Handler = std::function<void(HttpRequest request, Answer answer)>;

  static constexpr std::size_t kMostBodyBytes = 64 * 1024;
  static constexpr std::size_t kMostBytesHeld = 32 * 1024 * 1024;

  /// How large a body this request, of which the head is known, may have.
  using BodyLimit = std::function<std::size_t(const HttpRequest& head)>;
  static std::size_t small_body(const HttpRequest&) { return kMostBodyBytes; }

  /// `places`: connections at once.
  static Result<std::unique_ptr<HttpServer>> create(Loop& loop, Fd listening, std::size_t places,
                                                    Handler handler, BodyLimit body_limit = small_body);
  ~HttpServer();
  /// Borrowed; -1 once it has been given up.
  int listening() const;
  /// Closes its own descriptor of the listening socket, whose queue another process serves. Exchanges that
  /// have begun go on.
  void stop_accepting();
  /// Descriptors have come free, of which it keeps some for callers when there are no others.
  void fill_reserve();
  /// Whether no request is being worked on and no answer being taken.
  bool idle() const;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// "%41" is "A"; a broken escape stays as it is.
std::string percent_decode(std::string_view text);

}  // namespace weir
