#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "lb/config/draft.h"

namespace weir {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

constexpr std::string_view kAllowed = "must be ip:port, [v6]:port, unix:/path or unix:@name";

/// The port of ":80" and "*:80", which other programs take for every address; else "".
std::string_view port_of_every_address(std::string_view text) {
  if (text.starts_with('*')) text.remove_prefix(1);
  const bool port_only = text.size() > 1 && text.front() == ':' &&
                         text.find_first_not_of("0123456789", 1) == std::string_view::npos;
  return port_only ? text.substr(1) : std::string_view{};
}

/// The number of a user or a group: as it is written, or by what `find` knows of the name.
template <class Find>
void read_id(const TableReader& reader, std::string_view key, std::string_view what, Find find,
             std::optional<std::uint32_t>& out) {
  std::string text;
  if (!reader.string(key, text)) return;
  std::uint32_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status == std::errc{} && end == text.data() + text.size() && !text.empty())
    out = number;
  else if (const auto found = find(text.c_str()))
    out = *found;
  else
    reader.wrong(key, text, fmt::format("is no {} of this host, nor the number of one", what));
}

void read_access(const TableReader& reader, ListenerConfig& listener) {
  if (std::uint32_t mode = 0; reader.file_mode("mode", mode)) listener.mode = mode;
  char buffer[4096];
  read_id(
      reader, "owner", "user",
      [&](const char* name) -> std::optional<std::uint32_t> {
        passwd entry{};
        passwd* found = nullptr;
        getpwnam_r(name, &entry, buffer, sizeof buffer, &found);
        return found != nullptr ? std::optional(found->pw_uid) : std::nullopt;
      },
      listener.owner);
  read_id(
      reader, "group", "group",
      [&](const char* name) -> std::optional<std::uint32_t> {
        struct group entry {};
        struct group* found = nullptr;
        getgrnam_r(name, &entry, buffer, sizeof buffer, &found);
        return found != nullptr ? std::optional(found->gr_gid) : std::nullopt;
      },
      listener.group);
  if (std::ranges::any_of(listener.bind, &Address::has_file)) return;
  for (const char* key : {"mode", "owner", "group"})
    if (reader.has(key))
      reader.findings().fault(
          reader.place(key),
          fmt::format("{}: goes with a listener on unix:/path, which has a file", reader.path(key)));
}

}  // namespace

Result<Address> parse_bind(const std::string& text) {
  if (text.starts_with(kUnixPrefix))
    return Address::parse_unix(std::string_view(text).substr(kUnixPrefix.size()));
  if (const auto port = port_of_every_address(text); !port.empty())
    return fail(fmt::format("every address is [\"0.0.0.0:{}\", \"[::]:{}\"]", port, port));
  auto address = Address::parse_ip_port(text);
  if (!address) {
    if (const auto endpoint = parse_endpoint(text); endpoint && !endpoint->host.empty())
      return fail(
          fmt::format("a listener binds an address, and \"{}\" is a name: {}", endpoint->host, kAllowed));
    return address;
  }
  if (address->port() == 0) return fail("port 0 cannot be served (1 to 65535)");
  if (address->family() == AF_INET6) {
    // The socket is IPv6 only, so the kernel refuses a mapped IPv4 address.
    const ClientAddress folded(address->data());
    if (folded.ip().size() == 4)
      return fail(
          fmt::format("is IPv4 written as IPv6: write {}:{}", folded.ip_to_string(), address->port()));
  }
  return address;
}

std::string_view name_problem(std::string_view name) {
  if (name.empty()) return "a name has 1 to 128 characters";
  if (name.size() > 128) return "is too long: a name has 1 to 128 characters";
  const auto allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:[]-";
  if (name.find_first_not_of(allowed) != std::string_view::npos)
    return "has a character that a name cannot have: A-Z a-z 0-9 . _ : [ ] -";
  return "";
}

Place read_name(const TableReader& reader, std::string_view key, std::string& name) {
  if (!reader.string(key, name)) {
    if (!reader.has(key)) reader.missing(key, "1 to 128 of A-Z a-z 0-9 . _ : [ ] -");
    return {};
  }
  const std::string_view problem = name_problem(name);
  if (!problem.empty()) reader.wrong(key, name, problem);
  return reader.place(key);
}

void read_listener(Findings& findings, const toml::table& table, Draft& draft) {
  const TableReader reader(findings, table, listener_keys());
  ListenerConfig listener;
  ListenerPlaces places;
  places.name = read_name(reader, "name", listener.name);
  std::vector<std::string> binds;
  std::vector<Place> bind_places;
  reader.strings("bind", binds, bind_places);
  for (std::size_t i = 0; i < binds.size(); ++i) {
    auto address = parse_bind(binds[i]);
    if (!address) {
      findings.fault(bind_places[i], value_fault(reader.path("bind"), binds[i], address.error().message));
      continue;
    }
    listener.bind.push_back(*address);
    places.bind.push_back(bind_places[i]);
  }
  if (!reader.has("bind"))
    reader.missing("bind", "an address or a list of them, like \"0.0.0.0:8080\" or \"unix:/run/web.sock\"");
  if (reader.string("pool", listener.pool)) places.pool = reader.place("pool");
  read_door(reader, listener.door, places);
  if (!reader.has("pool") && listener.door.routes.empty())
    reader.missing("pool", "the name of the pool that serves this listener");
  constexpr std::string_view kWhenDown[] = {"refuse", "close"};
  if (std::size_t word = 0; reader.choice("when_down", "policy", kWhenDown, word))
    listener.when_down = static_cast<WhenDown>(word);
  if (listener.when_down == WhenDown::Close && std::ranges::any_of(listener.bind, &Address::is_unix))
    findings.fault(reader.place("when_down"),
                   "listener.when_down = \"close\": a unix socket that is closed so cannot be opened again");
  if (reader.integer("max_connections", 0, kMaxSessions, listener.max_connections))
    places.max_connections = reader.place("max_connections");
  reader.congestion_control("congestion_control", listener.congestion_control);
  read_access(reader, listener);
  reader.boolean("ready", listener.ready);
  draft.config->listeners.push_back(std::move(listener));
  draft.listeners.push_back(std::move(places));
}

}  // namespace weir
