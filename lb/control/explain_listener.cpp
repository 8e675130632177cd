#include "lb/control/explain_listener.h"

#include <fmt/format.h>

#include <algorithm>

#include "lb/base/state.h"

namespace weir {
namespace {

CommandError usage(std::string message) {
  return {CommandError::Kind::Usage, std::move(message)};
}

/// RFC 7301's list without its length. Each has 1 to 255 bytes.
std::string alpn_list(const std::vector<std::string>& protocols) {
  std::string out;
  for (const std::string& protocol : protocols) {
    out += static_cast<char>(protocol.size());
    out += protocol;
  }
  return out;
}

std::string shown(std::chrono::nanoseconds wait) {
  return format_duration(std::chrono::ceil<Millis>(wait));
}

/// Says what the limits make of the client now; false when they refuse it.
bool pass_limits(const Doorway& doorway, const ClientAddress& client, Explanation& out) {
  const Door& door = *doorway.door;
  if (!door.limits_clients()) return true;
  if (!door.limits(client)) {
    out.because.push_back("the limits for each client do not concern it");
    return true;
  }
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto standing = doorway.book->clients->standing(client, door.client_limit(), now);
  if (const auto most = door.client_limit().sessions; most > 0) {
    out.because.push_back(fmt::format("it has {} of {} sessions", standing.sessions, most));
    if (standing.sessions >= most) {
      out.decision = to_string(End::ClientLimit);
      return false;
    }
  }
  if (!door.client_limit().rate.is_limited()) return true;
  const bool has_token = standing.token_in.count() == 0;
  out.because.push_back(fmt::format("new_sessions_per_client = {}: {}", door.terms().new_sessions_per_client,
                                    has_token ? "there is room" : "room in " + shown(standing.token_in)));
  if (!has_token) out.decision = to_string(End::ClientRate);
  return has_token;
}

Result<ClientAddress> parse_address(const std::string& text) {
  return text == "unix" ? Result<ClientAddress>(ClientAddress()) : ClientAddress::parse_ip(text);
}

/// Says what keeps connections in the kernel's queue, whoever they are of.
void say_whether_it_waits(const ListenerConfig& listener, const Registry& registry, const Doorway& doorway,
                          Explanation& out) {
  if (const auto most = listener.max_connections; most > 0) {
    const auto now = registry.listener_sessions(listener.name);
    out.because.push_back(fmt::format("the listener has {} of {} sessions{}", now, most,
                                      now >= most ? ": clients wait in the kernel's queue" : ""));
  }
  if (doorway.door == nullptr || !doorway.door->new_sessions().is_limited()) return;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto wait = doorway.book->new_sessions.wait(doorway.door->new_sessions(), now);
  out.because.push_back(
      fmt::format("new_sessions = {}: {}", doorway.door->terms().new_sessions,
                  wait.count() == 0 ? "there is room"
                                    : "clients wait in the kernel's queue, the next one for " + shown(wait)));
}

/// Says whether the connection's own address may be here; false when it may not.
bool may_connect(const Door& door, const ClientAddress& peer, const Caller& caller, Explanation& out) {
  const std::string name = caller.peer.empty() ? caller.client : caller.peer;
  if (!door.expects_header()) {
    if (!caller.peer.empty())
      out.because.push_back(
          fmt::format("no PROXY header is expected: a connection of {}'s is its own", name));
    return true;
  }
  const bool may = door.may_announce(peer);
  if (!caller.peer.empty()) {
    out.because.push_back(fmt::format("{} is {}in proxy_from{}", name, may ? "" : "not ",
                                      may ? ": it may announce the client" : ""));
    if (!may) out.decision = to_string(End::Denied);
    return may;
  }
  out.because.push_back("a PROXY header must announce it, from an address in proxy_from");
  if (!may) out.because.push_back(fmt::format("{} itself may not connect: not in proxy_from", name));
  return true;
}

/// Says which pool serves it; "" when none does.
std::string take_route(const Door& door, const std::string& own_pool, const ClientAddress& client,
                       const Caller& caller, Explanation& out) {
  const Routes::First first = door.routes().find_first(client);
  Routes::Place place = first.route;
  if (first.needs_hello) {
    const bool says_something = !caller.server_name.empty() || !caller.alpn.empty();
    out.because.push_back(says_something ? "its first message is read" : "its first message has no name");
    place = door.routes().find(client, caller.server_name, alpn_list(caller.alpn));
  }
  if (place) {
    out.route = *place + 1;
    out.because.push_back(fmt::format("route {} fits", *place + 1));
    return door.pool_of(*place);
  }
  if (door.has_routes()) out.because.push_back("no route fits");
  if (own_pool.empty()) out.decision = to_string(End::NoRoute);
  return own_pool;
}

}  // namespace

CommandResult<Explanation> explain_listener(const Registry& registry, const std::string& listener,
                                            const Doorway& doorway, bool is_shut, const Caller& caller) {
  const auto& listeners = registry.config()->listeners;
  const auto found = std::ranges::find(listeners, listener, &ListenerConfig::name);
  if (found == listeners.end()) return tl::unexpected(registry.unknown_listener(listener));
  const auto client = parse_address(caller.client);
  if (!client) return tl::unexpected(usage(client.error().message));
  const auto peer = parse_address(caller.peer.empty() ? caller.client : caller.peer);
  if (!peer) return tl::unexpected(usage(peer.error().message));
  for (const std::string& protocol : caller.alpn)
    if (protocol.empty() || protocol.size() > 255)
      return tl::unexpected(usage("alpn: a protocol has 1 to 255 bytes"));
  Explanation out;
  out.listener = listener;
  out.client = client->ip().empty() ? "unix" : client->ip_to_string();
  if (is_shut) {
    out.because.emplace_back("when_down = close: no pool of the listener has an eligible backend");
    out.decision = "closed";
    return out;
  }
  say_whether_it_waits(*found, registry, doorway, out);
  std::string pool = found->pool;
  if (const Door* const door = doorway.door.get()) {
    if (!may_connect(*door, *peer, caller, out)) return out;
    const Rules::Decision rule = door->rules().decide(*client);
    if (!door->terms().allow.empty() || !door->terms().deny.empty())
      out.because.push_back(door->rules().in_words(rule));
    if (!rule.allowed) {
      out.decision = to_string(End::Denied);
      return out;
    }
    if (!pass_limits(doorway, *client, out)) return out;
    pool = take_route(*door, found->pool, *client, caller, out);
    if (pool.empty()) return out;
  }
  out.decision = "let in";
  auto served = registry.explain(pool, out.client);
  if (!served) return served;
  out.pool = served->pool;
  out.backend = std::move(served->backend);
  out.waits_for = served->waits_for;
  out.excluded = std::move(served->excluded);
  std::ranges::move(served->because, std::back_inserter(out.because));
  return out;
}

}  // namespace weir
