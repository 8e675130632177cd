#pragma once

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

  const std::string& socket() const { return socket_; }

 private:
  std::string socket_;
  Millis patience_;
};

/// `--socket`, else WEIR_SOCKET, else the default.
std::string admin_socket(std::string_view given);

}  // namespace weir
