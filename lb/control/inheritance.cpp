#include "lb/control/inheritance.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

/// Of what the variable holds. A new process that does not know it refuses to start, and the old one goes on.
constexpr int kVersion = 1;

Result<Inheritance> inheritance_of(const Json& json) {
  if (json.value("version", 0) != kVersion)
    return fail(fmt::format("{} is of version {}, this Weir knows {}", kInheritVariable,
                            json.value("version", 0), kVersion));
  Inheritance out;
  for (const auto& item : json.at("sockets")) {
    auto socket = adopt_listening(item.at("fd").get<int>());
    if (!socket) return tl::unexpected(socket.error());
    socket->held_outside = item.value("held_outside", false);
    out.sockets.push_back(std::move(*socket));
  }
  if (const auto admin = json.find("admin"); admin != json.end()) {
    auto socket = adopt_listening(admin->at("fd").get<int>());
    if (!socket) return tl::unexpected(socket.error());
    out.admin_path = socket->address.path();
    out.admin = std::move(socket->fd);
  }
  const int channel = json.at("channel").get<int>();
  if (fcntl(channel, F_SETFD, FD_CLOEXEC) != 0)
    return fail_errno(fmt::format("inherited descriptor {}", channel), errno);
  out.channel = Fd(channel);
  for (const auto& item : json.at("predecessors"))
    out.predecessors.push_back({item.at("pid").get<pid_t>(), item.at("socket").get<std::string>()});
  out.overrides = json.value("overrides", "");
  return out;
}

}  // namespace

Bequest bequeath(const Inheritance& inheritance) {
  Bequest out;
  int next = 3;
  const auto give = [&](const Fd& fd) {
    out.descriptors.emplace_back(next, fd.get());
    return next++;
  };
  // Addresses are not named: the kernel knows them, and a path may hold bytes that JSON does not.
  Json sockets = Json::array();
  for (const auto& socket : inheritance.sockets) {
    Json item{{"fd", give(socket.fd)}};
    if (socket.held_outside) item["held_outside"] = true;
    sockets.push_back(std::move(item));
  }
  Json predecessors = Json::array();
  for (const auto& predecessor : inheritance.predecessors)
    predecessors.push_back({{"pid", predecessor.pid}, {"socket", predecessor.socket}});
  Json all{{"version", kVersion}, {"sockets", std::move(sockets)}, {"channel", give(inheritance.channel)}};
  if (inheritance.admin) all["admin"] = {{"fd", give(inheritance.admin)}};
  all["predecessors"] = std::move(predecessors);
  if (!inheritance.overrides.empty()) all["overrides"] = inheritance.overrides;
  out.variable =
      fmt::format("{}={}", kInheritVariable, all.dump(-1, ' ', false, Json::error_handler_t::replace));
  return out;
}

Result<Inheritance> parse_inheritance(std::string_view text) {
  const auto json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(fmt::format("{} is not a JSON object", kInheritVariable));
  try {
    return inheritance_of(json);
  } catch (const Json::exception& error) {
    return fail(fmt::format("{}: {}", kInheritVariable, error.what()));
  }
}

Result<std::optional<Inheritance>> take_inheritance() {
  const char* const value = std::getenv(kInheritVariable);
  if (value == nullptr) return std::optional<Inheritance>();
  const std::string text = value;
  unsetenv(kInheritVariable);
  auto inheritance = parse_inheritance(text);
  if (!inheritance) return tl::unexpected(inheritance.error());
  return std::optional(std::move(*inheritance));
}

}  // namespace weir
