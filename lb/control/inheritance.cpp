#include "lb/control/inheritance.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "lb/control/whole_json.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

/// Of what the variable holds. A new process that does not know it refuses to start, and the old one goes on.
/// 1: no "known", the overrides stand in the variable. 2: no "standard_error", descriptor 2 is what it is to
/// be.
constexpr int kOldestVersion = 1;
constexpr int kVersion = 3;

Result<Fd> file_in_memory(std::string_view text) {
  Fd fd(::memfd_create("weir-inheritance", MFD_CLOEXEC));
  if (!fd) return fail_errno("cannot make a file in memory", errno);
  while (!text.empty()) {
    const ssize_t put = ::write(fd.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("cannot write what is handed over", errno);
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return fd;
}

Result<std::string> text_of(const Fd& fd) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::pread(fd.get(), buffer, sizeof buffer, static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read what is handed over", errno);
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

Result<void> take_known(Inheritance& out, int number) {
  const Fd fd(number);
  const auto text = text_of(fd);
  if (!text) return tl::unexpected(text.error());
  const auto json = parse_whole_json(*text);
  if (!json.is_object()) return fail("what is handed over is not a JSON object");
  out.overrides = json.value("overrides", "");
  out.events = json.value("events", "");
  out.by = json.value("by", "");
  out.first_descriptor_limit = json.value("first_descriptor_limit", std::uint64_t{0});
  if (!json.contains("legacy")) return {};
  auto legacy =
      parse_legacy(json.at("legacy").get_ref<const std::string&>(), std::chrono::steady_clock::now());
  if (!legacy) return tl::unexpected(legacy.error());
  out.legacy = std::move(*legacy);
  return {};
}

Result<void> take_admin(const Json& json, const char* key, Fd& fd, std::string& path) {
  const auto found = json.find(key);
  if (found == json.end()) return {};
  auto socket = adopt_listening(found->at("fd").get<int>());
  if (!socket) return tl::unexpected(socket.error());
  path = socket->address.path();
  fd = std::move(socket->fd);
  return {};
}

Result<Inheritance> inheritance_of(const Json& json) {
  const int version = json.value("version", 0);
  if (version < kOldestVersion || version > kVersion)
    return fail(fmt::format("{} is of version {}, this Weir knows {} to {}", kInheritVariable, version,
                            kOldestVersion, kVersion));
  Inheritance out;
  for (const auto& item : json.at("sockets")) {
    auto socket = adopt_listening(item.at("fd").get<int>());
    if (!socket) return tl::unexpected(socket.error());
    socket->held_outside = item.value("held_outside", false);
    out.sockets.push_back(std::move(*socket));
  }
  if (auto taken = take_admin(json, "admin", out.admin, out.admin_path); !taken)
    return tl::unexpected(taken.error());
  if (auto taken = take_admin(json, "read_only_admin", out.read_only_admin, out.read_only_admin_path); !taken)
    return tl::unexpected(taken.error());
  for (const auto& item : json.value("web", Json::array())) {
    auto socket = adopt_listening(item.get<int>());
    if (!socket) return tl::unexpected(socket.error());
    out.web.push_back(std::move(*socket));
  }
  const auto take = [&](const char* key, Fd& to) -> Result<void> {
    const int fd = json.at(key).get<int>();
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
      return fail_errno(fmt::format("inherited descriptor {}", fd), errno);
    to = Fd(fd);
    return {};
  };
  if (auto taken = take("channel", out.channel); !taken) return tl::unexpected(taken.error());
  if (json.contains("first_process"))
    if (auto taken = take("first_process", out.first_process); !taken) return tl::unexpected(taken.error());
  if (version >= 3)
    if (auto taken = take("standard_error", out.standard_error); !taken) return tl::unexpected(taken.error());
  // Without these all is served as well.
  if (json.contains("history")) out.history = text_of(Fd(json.at("history").get<int>())).value_or("");
  if (json.contains("tokens")) out.tokens = text_of(Fd(json.at("tokens").get<int>())).value_or("");
  for (const auto& item : json.at("predecessors"))
    out.predecessors.push_back({item.at("pid").get<pid_t>(), item.at("socket").get<std::string>()});
  if (version == 1) {
    out.overrides = json.value("overrides", "");
  } else if (auto known = take_known(out, json.at("known").get<int>()); !known) {
    return tl::unexpected(known.error());
  }
  return out;
}

}  // namespace

Result<Bequest> bequeath(const Inheritance& inheritance) {
  Json known = Json::object();
  if (!inheritance.overrides.empty()) known["overrides"] = inheritance.overrides;
  if (inheritance.legacy)
    known["legacy"] = format_legacy(*inheritance.legacy, std::chrono::steady_clock::now());
  if (!inheritance.events.empty()) known["events"] = inheritance.events;
  if (!inheritance.by.empty()) known["by"] = inheritance.by;
  if (inheritance.first_descriptor_limit > 0)
    known["first_descriptor_limit"] = inheritance.first_descriptor_limit;
  Bequest out;
  int next = 3;
  const auto give = [&](const Fd& fd) {
    out.descriptors.emplace_back(next, fd.get());
    return next++;
  };
  Json all{{"version", kVersion}};
  const auto give_file = [&](const char* key, std::string_view text) -> Result<void> {
    auto file = file_in_memory(text);
    if (!file) return tl::unexpected(file.error());
    all[key] = give(*file);
    out.files.push_back(std::move(*file));
    return {};
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
  all["sockets"] = std::move(sockets);
  all["channel"] = give(inheritance.channel);
  if (inheritance.admin) all["admin"] = {{"fd", give(inheritance.admin)}};
  if (inheritance.read_only_admin) all["read_only_admin"] = {{"fd", give(inheritance.read_only_admin)}};
  Json web = Json::array();
  for (const auto& socket : inheritance.web) web.push_back(give(socket.fd));
  if (!web.empty()) all["web"] = std::move(web);
  all["predecessors"] = std::move(predecessors);
  const auto text = known.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (auto given = give_file("known", text); !given) return tl::unexpected(given.error());
  for (const auto& [key, bytes] :
       {std::pair("history", &inheritance.history), std::pair("tokens", &inheritance.tokens)}) {
    if (bytes->empty()) continue;
    if (auto given = give_file(key, *bytes); !given) return tl::unexpected(given.error());
  }
  if (inheritance.first_process) all["first_process"] = give(inheritance.first_process);
  all["standard_error"] = give(inheritance.standard_error);
  out.variable =
      fmt::format("{}={}", kInheritVariable, all.dump(-1, ' ', false, Json::error_handler_t::replace));
  return out;
}

Result<Inheritance> parse_inheritance(std::string_view text) {
  const auto json = parse_whole_json(text);
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
