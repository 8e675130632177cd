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
                                            const Doorway& doorway, const Caller& caller) {
  const auto& listeners = registry.config()->listeners;
  const auto found = std::ranges::find(listeners, listener, &ListenerConfig::name);
  if (found == listeners.end()) return tl::unexpected(registry.unknown_listener(listener));
  const auto client = caller.client == "unix" ? Result<ClientAddress>(ClientAddress())
                                              : ClientAddress::parse_ip(caller.client);
  if (!client) return tl::unexpected(usage(client.error().message));
  for (const std::string& protocol : caller.alpn)
    if (protocol.empty() || protocol.size() > 255)
      return tl::unexpected(usage("alpn: a protocol has 1 to 255 bytes"));
  Explanation out;
  out.listener = listener;
  out.client = client->ip().empty() ? "unix" : client->ip_to_string();
  std::string pool = found->pool;
  if (const Door* const door = doorway.door.get()) {
    if (door->expects_header())
      out.because.push_back("a PROXY header must announce it, from an address in proxy_from");
    const Rules::Decision rule = door->rules().decide(*client);
    if (!door->terms().allow.empty() || !door->terms().deny.empty())
      out.because.push_back(door->rules().in_words(rule));
    if (!rule.allowed) {
      out.decision = to_string(End::Denied);
      return out;
    }
    if (!pass_limits(doorway, *client, out)) return out;
    if (door->new_sessions().is_limited())
      out.because.push_back(
          fmt::format("new_sessions = {}: beyond it clients wait", door->terms().new_sessions));
    pool = take_route(*door, found->pool, *client, caller, out);
    if (pool.empty()) return out;
  }
  out.decision = "let in";
  auto served = registry.explain(pool, out.client);
  if (!served) return served;
  out.pool = served->pool;
  out.backend = std::move(served->backend);
  out.excluded = std::move(served->excluded);
  std::ranges::move(served->because, std::back_inserter(out.because));
  return out;
}

}  // namespace weir
