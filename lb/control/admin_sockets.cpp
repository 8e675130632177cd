// The sockets of the admin API: bound, served on, brought back, left to another process.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "lb/base/log.h"
#include "lb/control/admin_json.h"
#include "lb/control/admin_state.h"
#include "lb/net/socket.h"

namespace weir {
namespace {

using Answer = HttpServer::Answer;
using Kind = CommandError::Kind;

/// A configuration's text: some 100,000 backends.
constexpr std::size_t kMostConfigBytes = 16 * 1024 * 1024;

std::size_t body_limit(const HttpRequest& head) {
  const bool large = is_command(head, "POST", "diff") || is_command(head, "POST", "counts") ||
                     is_command(head, "POST", "active") ||
                     (head.path.size() >= 2 && head.path[0] == "v1" && head.path[1] == "sessions");
  return large ? kMostConfigBytes : HttpServer::kMostBodyBytes;
}

}  // namespace

Result<Fd> AdminApi::bind(const AdminConfig& config, Level level) {
  const std::string& path = level == Level::All ? config.socket : config.read_only_socket;
  if (path.empty()) return Fd();
  const auto directory = path.substr(0, path.rfind('/'));
  if (level == Level::All && !config.socket_given && ::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno(fmt::format("admin socket: {}", directory), errno);
  auto address = Address::unix_path(path);
  if (!address) return tl::unexpected(address.error());
  auto fd = listen_unix(*address, {.mode = level == Level::All ? config.mode : config.read_only_mode});
  if (!fd && fd.error().code == EADDRINUSE)
    return fail(fmt::format(
        "admin socket {}: another Weir is running there; stop it, or name another socket in [admin]", path));
  if (!fd) return fail(fmt::format("admin socket {}: {}", path, fd.error().message));
  return fd;
}

Result<void> AdminApi::serve(Fd listening, const std::string& path, Level level) {
  auto server = HttpServer::create(
      state_->parts.loop, std::move(listening), state_->parts.places,
      [this, level](HttpRequest request, const Answer& answer) {
        if (level == Level::Look && request.method != "GET")
          return answer_error(answer,
                              {Kind::Refused, "this socket is for looking only: changes go to admin.socket"});
        // Who may only look is told so before it asks for more.
        if (level == Level::Look && request.path == std::vector<std::string>{"v1", "version"})
          return answer({200, version_json(state_->parts.facts(), true)});
        handle(std::move(request), answer);
      },
      body_limit);
  if (!server) return tl::unexpected(server.error());
  // What was served before is left only now that there is something else.
  leave(level);
  auto& door = state_->door(level);
  door.server = std::move(*server);
  // There may have been too few until now.
  door.server->fill_reserve();
  if (const auto address = Address::unix_path(path)) door.path = SocketPath(*address);
  state_->sample_rates();
  return {};
}

void AdminApi::bring_back(const AdminConfig& config) {
  for (const Level level : {Level::All, Level::Look}) {
    const auto& door = state_->door(level);
    if (door.server == nullptr || !door.path.lost()) continue;
    const std::string& path = level == Level::All ? config.socket : config.read_only_socket;
    auto fd = bind(config, level);
    auto moved = fd ? serve(std::move(*fd), path, level) : tl::unexpected(fd.error());
    if (moved)
      daemon_log().warn("admin socket {}: somebody had removed it; it is there again", path);
    else
      daemon_log().error("somebody has removed the admin socket: {}", moved.error().message);
  }
}

int AdminApi::listening(Level level) const {
  const auto& door = state_->door(level);
  return door.server != nullptr ? door.server->listening() : -1;
}

void AdminApi::leave(Level level) {
  auto& door = state_->door(level);
  if (door.server == nullptr) return;
  door.server->stop_accepting();
  door.path.set_owned(false);
  std::erase_if(state_->given_up, [](const auto& server) { return server->idle(); });
  state_->given_up.push_back(std::move(door.server));
}

bool AdminApi::idle() const {
  const auto is_idle = [](const auto& server) { return server == nullptr || server->idle(); };
  return std::ranges::all_of(state_->doors, is_idle, &State::Door::server) &&
         std::ranges::all_of(state_->given_up, is_idle);
}

}  // namespace weir
