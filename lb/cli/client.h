#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lb/base/duration.h"
#include "lb/base/error.h"

namespace weir {

struct AdminReply {
  int status = 0;
  std::string body;
};

/// Talks HTTP to a running Weir over its admin socket. Blocking.
class AdminClient {
 public:
  using Query = std::vector<std::pair<std::string, std::string>>;

  /// `patience`: for one request from the connect to the end of its answer.
  AdminClient(std::string socket, Millis patience) : socket_(std::move(socket)), patience_(patience) {}

  /// An error means that nobody answered; its message says whether there is no daemon, no right to talk to
  /// it, or a daemon that hangs. `path` segments are escaped here, and arrive as they are: "..", too.
  Result<AdminReply> request(const std::string& method, const std::vector<std::string>& path,
                             const Query& query = {}, const std::string& body = {}) const;

  /// GET, whose answer comes piece by piece and has no end of its own: calls `take` with each piece of a good
  /// one, until that says false or nobody sends any more. Answers what has ended it: of a good answer an
  /// empty body. Nobody is waited for longer than `patience` for the connect, and than kSilence between two
  /// pieces. `last_event`: goes into Last-Event-ID; "" = none.
  Result<AdminReply> follow(const std::vector<std::string>& path, const Query& query,
                            const std::string& last_event,
                            const std::function<bool(std::string_view piece)>& take) const;
  /// More than a daemon that lives lets pass without a word.
  static constexpr Millis kSilence{40'000};

  const std::string& socket() const { return socket_; }

 private:
  std::string socket_;
  Millis patience_;
};

/// `--socket`, else WEIR_SOCKET, else the default.
std::string admin_socket(std::string_view given);

}  // namespace weir
