#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "lb/control/http_server.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

namespace weir {

/// One request to another Weir's admin socket, without blocking. Bounded: 2 s, and 16 MiB of answer. Whoever
/// listens there is sent nothing unless it is a process of root or of the user Weir runs as: others may be
/// able to put a socket at that path. Loop thread only.
class AdminRequest final : private Watcher {
 public:
  enum class Failure : std::uint8_t {
    Gone,      ///< nobody listens there
    Stranger,  ///< somebody else does
    Late,      ///< no whole answer within kPatience
    NoAnswer   ///< none, or what is no answer
  };
  using Outcome = tl::expected<HttpResponse, Failure>;
  using Done = std::function<void(const Outcome&)>;

  static constexpr Millis kPatience{2'000};
  static constexpr std::size_t kMostBytes = 16 * 1024 * 1024;

  /// Calls back once, later and outside any batch of events: the callback may destroy the request.
  AdminRequest(Loop& loop, Done done);
  ~AdminRequest();

  /// Before send(): anybody but this process is a stranger, too.
  void expect(pid_t process) { expected_ = process; }
  void send(const std::string& socket, const std::string& method, const std::string& target,
            const std::string& body);

 private:
  void on_events(std::uint32_t events) override;
  void send_on();
  void receive_on();
  void finish(Outcome outcome);

  Loop& loop_;
  Timer timer_;
  Done done_;
  Fd fd_;
  std::string unsent_;
  std::string received_;
  pid_t expected_ = 0;  ///< 0: any
  bool over_ = false;
};

/// "/v1/pools/a%2Fb": the path of a request, its segments escaped.
std::string escaped_path(const std::vector<std::string>& segments);
/// "pool=web&client=10.0.0.1"
std::string escaped_query(const std::map<std::string, std::string, std::less<>>& parameters);

}  // namespace weir
