#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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
  std::string repeated;  ///< a name of the query that is given more than once; "" = none
  std::string body;
  /// Of those that matter here, by their names in small letters ("host", "origin", "authorization", "accept",
  /// "accept-encoding", "last-event-id"); one that comes more than once is joined by ", ".
  std::map<std::string, std::string, std::less<>> headers;
  std::string_view header(std::string_view name) const {
    const auto found = headers.find(name);
    return found != headers.end() ? std::string_view(found->second) : std::string_view();
  }
  /// The process at the other end, by SO_PEERCRED; nothing where the kernel does not say.
  struct Peer {
    uid_t uid;
    pid_t pid;
    /// Of a connection: who has connected, or at its other end who listens. Nothing where the kernel does not
    /// say.
    static std::optional<Peer> of(int connection);
    /// Root, or the user Weir runs as.
    bool privileged() const;
  };
  std::optional<Peer> peer;
  std::string caller;    ///< "uid 1000, pid 4711", for the log
  std::string by;        ///< whose word it is, where no peer tells
  std::string operated;  ///< the header Weir-Operator: on whose behalf, as the caller says; "" = none
};

/// An answer that comes piece by piece, for as long as its reader takes it (server-sent events). It holds
/// nothing back for a slow reader: it is asked for the next piece when the one before has been sent, and says
/// then what is so, or what was missed. The server's thread only.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  /// What is to be sent now, at most some 64 KiB unless one piece is larger; "" = nothing, until wake();
  /// nothing at all: it is over.
  virtual std::optional<std::string> next() = 0;
  /// The server's.
  void on_wake(std::function<void()> wake) { wake_ = std::move(wake); }

 protected:
  /// There is something to be sent.
  void wake() const {
    if (wake_ != nullptr) wake_();
  }

 private:
  std::function<void()> wake_;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< beside Content-Type and -Length
  std::shared_ptr<HttpStream> stream = nullptr;                   ///< in the place of `body`; null: none
};

/// Serves HTTP/1.1 on a listening socket from a Loop: libmicrohttpd with its epoll set watched by ours, so
/// that no thread is added, and connections that are accepted here. The loop's thread only.
///
/// Bounded: the places and times of HttpPlaces, 64 KiB of body (where the owner says so more, and 32 MiB for
/// all at once), 32 KiB for a request's head. A caller for whom there is no place gets a 503, as one gets who
/// wants a stream when every second place has one. A piece of a stream that is not taken within
/// HttpPlaces::kAnswerTime ends it; one with nothing to say says so every kBeat (a comment of server-sent
/// events), so that readers who are gone are found out.
class HttpServer {
 public:
  /// Answers once, now or later, on the loop's thread; not after the server is gone.
  using Answer = std::function<void(HttpResponse)>;
  using Handler = std::function<void(HttpRequest request, Answer answer)>;

  static constexpr std::size_t kMostBodyBytes = 64 * 1024;
  static constexpr std::size_t kMostBytesHeld = 32 * 1024 * 1024;
  static constexpr Millis kBeat{15'000};

  /// How large a body this request, of which the head is known, may have.
  using BodyLimit = std::function<std::size_t(const HttpRequest& head)>;
  static std::size_t small_body(const HttpRequest&) { return kMostBodyBytes; }

  /// `places`: connections at once.
  static Result<std::unique_ptr<HttpServer>> create(Loop& loop, Fd listening, std::size_t places,
                                                    Handler handler, BodyLimit body_limit = small_body);
  ~HttpServer();
  /// Borrowed; -1 once it has been given up.
  int listening() const;
  /// Closes its own descriptor of the listening socket. Whoever has been let in is answered, and then finds
  /// whoever serves by then: streams end, and no connection is kept alive. The queue: another process serves
  /// it, or it is served out first.
  enum class Queue : std::uint8_t { IsAnothers, ServedOut };
  void stop_accepting(Queue queue = Queue::IsAnothers);
  /// Descriptors have come free, of which it keeps some for callers when there are no others.
  void fill_reserve();
  /// Whether nobody waits for an answer. Streams do not count.
  bool idle() const;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weir
