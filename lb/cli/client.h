#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

  explicit AdminClient(std::string socket) : socket_(std::move(socket)) {}

  /// An error means that nobody answered; its message says whether there is no daemon or no right to talk to
  /// it. `path` segments are escaped here.
  Result<AdminReply> request(const std::string& method, const std::vector<std::string>& path,
                             const Query& query = {}, const std::string& body = {}) const;

  const std::string& socket() const { return socket_; }

 private:
  std::string socket_;
};

/// `--socket`, else WEIR_SOCKET, else the default.
std::string admin_socket(std::string_view given);

}  // namespace weir
