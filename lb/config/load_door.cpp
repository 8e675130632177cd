#include <fmt/format.h>

#include <algorithm>

#include "lb/admit/network_file.h"
#include "lb/base/file.h"
#include "lb/config/draft.h"

namespace weir {
namespace {

constexpr std::uint64_t kMaxNetworkFileBytes = std::uint64_t{64} << 20;
constexpr std::size_t kMaxProtocolBytes = 255;

/// Each string of the list at `key` by `parse`: what it gives, or a fault at the string.
template <class T, class Parse>
void read_each(const TableReader& reader, std::string_view key, bool may_be_empty, Parse parse,
               std::vector<T>& out) {
  std::vector<std::string> texts;
  std::vector<Place> places;
  const bool read =
      may_be_empty ? reader.any_strings(key, texts, places) : reader.strings(key, texts, places);
  if (!read) return;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto one = parse(texts[i]);
    if (one)
      out.push_back(std::move(*one));
    else
      reader.findings().fault(places[i], value_fault(reader.path(key), texts[i], one.error().message));
  }
}

void read_networks(const TableReader& reader, std::string_view key, std::vector<Network>& out,
                   bool may_be_empty = true) {
  read_each(
      reader, key, may_be_empty, [](const std::string& text) { return Network::parse(text); }, out);
}

/// More networks, out of the file that `key` names. A fault in it is one at the key; answers whether there
/// was none.
bool read_network_file(const TableReader& reader, std::string_view key, std::string& path,
                       std::vector<Network>& out) {
  const auto wrong = [&](std::string_view why) {
    reader.wrong(key, path, why);
    return false;
  };
  if (!reader.string(key, path)) return false;
  if (!path.starts_with('/')) return wrong("must be an absolute path");
  const auto text = read_file(path, kMaxNetworkFileBytes, reader.findings().options().patience);
  if (!text) return wrong(text.error().message);
  NetworkFile file = parse_network_file(*text);
  for (const NetworkFile::Fault& fault : file.faults)
    wrong(fault.line == 0 ? fault.message : fmt::format("line {}: {}", fault.line, fault.message));
  std::ranges::move(file.networks, std::back_inserter(out));
  return file.faults.empty();
}

Result<std::string> parse_protocol(const std::string& text) {
  if (text.empty() || text.size() > kMaxProtocolBytes)
    return fail("a protocol has 1 to 255 bytes, like \"h2\"");
  return text;
}

void read_route(const TableReader& reader, RouteTo& route, Place& pool) {
  read_each(
      reader, "sni", false, [](const std::string& text) { return parse_name_pattern(text); },
      route.terms.names);
  read_each(reader, "alpn", false, parse_protocol, route.terms.protocols);
  read_networks(reader, "client", route.terms.clients, false);
  if (!reader.has("sni") && !reader.has("alpn") && !reader.has("client"))
    reader.missing("sni", "a route asks for a name (sni), a protocol (alpn) or a client, or for several");
  if (reader.string("pool", route.pool)) pool = reader.place("pool");
  if (!reader.has("pool"))
    reader.missing("pool", "the name of the pool that serves those who take this route");
}

bool has_any(const TableReader& reader, std::initializer_list<std::string_view> keys) {
  return std::ranges::any_of(keys, [&](std::string_view key) { return reader.has(key); });
}

/// What is valid and without effect.
void warn_of_what_does_nothing(const TableReader& reader, const DoorTerms& door) {
  const auto warn = [&](std::string_view key, std::string_view why) {
    if (reader.has(key))
      reader.findings().warn(reader.place(key), fmt::format("{} has no effect: {}", reader.path(key), why));
  };
  const bool limits_clients = door.sessions_per_client > 0 || !door.new_sessions_per_client.empty();
  const bool reads_hello = std::ranges::any_of(door.routes, [](const RouteTo& route) {
    return !route.terms.names.empty() || !route.terms.protocols.empty();
  });
  if (!limits_clients && !has_any(reader, {"sessions_per_client", "new_sessions_per_client"})) {
    warn("unlimited", "clients have no limit");
    warn("client_prefix", "clients have no limit");
  }
  if (door.new_sessions_per_client.empty() && door.new_sessions.empty() &&
      !has_any(reader, {"new_sessions_per_client", "new_sessions"}))
    warn("burst", "there is no rate");
  if (door.proxy_from.empty() && !reads_hello && !has_any(reader, {"proxy_from", "route"}))
    warn("header_timeout",
         "no client has to say anything: there is no proxy_from, nor a route by sni or alpn");
  if (door.preface != ClientPreface::Off && !reads_hello && !has_any(reader, {"route"}))
    warn("preface", "there is no route by sni or alpn");
}

}  // namespace

void read_door(const TableReader& reader, DoorTerms& door, ListenerPlaces& places) {
  read_networks(reader, "proxy_from", door.proxy_from);
  read_networks(reader, "allow", door.allow);
  read_networks(reader, "deny", door.deny);
  const bool allow_read = read_network_file(reader, "allow_file", door.allow_file, door.allow);
  read_network_file(reader, "deny_file", door.deny_file, door.deny);
  // Of a list that was lost on its way there everybody would be let in.
  if (allow_read && door.allow.empty())
    reader.wrong("allow_file", door.allow_file,
                 "names no network: without any in allow everybody would be let in");
  const Rules rules(door.allow, door.deny);
  for (const std::string& warning : rules.warnings())
    reader.findings().warn(reader.place("deny"), fmt::format("{}: {}", reader.path("deny"), warning));
  reader.duration("header_timeout", Zero::Refused, door.header_timeout);
  reader.integer("sessions_per_client", 0, kMaxSessions, door.sessions_per_client);
  reader.rate("new_sessions_per_client", door.new_sessions_per_client);
  reader.rate("new_sessions", door.new_sessions);
  reader.integer("burst", 0, kMaxRateNumber, door.burst);
  read_networks(reader, "unlimited", door.unlimited);
  reader.two_integers("client_prefix", {32, 128}, door.client_prefix);
  constexpr std::string_view kPrefaces[] = {"off", "postgres"};
  if (std::size_t word = 0; reader.choice("preface", "preface", kPrefaces, word))
    door.preface = static_cast<ClientPreface>(word);
  for (const toml::table* table : reader.tables("route", "[[listener.route]]"))
    read_route(TableReader(reader.findings(), *table, route_keys()), door.routes.emplace_back(),
               places.route_pools.emplace_back());
  warn_of_what_does_nothing(reader, door);
}

}  // namespace weir
