#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "lb/config/draft.h"

namespace weir {
namespace {

struct Named {
  Place place;
  bool by_address;  ///< a backend without a name of its own
};
using NamesSeen = std::unordered_map<std::string_view, Named>;

/// Notes a fault when the name has been seen before.
void check_name(Findings& findings, NamesSeen& seen, std::string_view key, std::string_view name,
                Named named) {
  if (!named.place || name.empty()) return;
  const auto [first, fresh] = seen.emplace(name, named);
  if (fresh) return;
  if (named.by_address && first->second.by_address)
    return findings.fault(
        named.place, value_fault("pool.backend.address", name,
                                 fmt::format("line {} has this address, too: two backends of one address "
                                             "need a name each",
                                             first->second.place.line)));
  findings.fault(
      named.place,
      value_fault(key, name, fmt::format("this name is taken by line {}", first->second.place.line)));
}

void check_backend_names(Findings& findings, const PoolConfig& pool, const PoolPlaces& places) {
  NamesSeen seen;
  for (std::size_t i = 0; i < pool.backends.size(); ++i) {
    const BackendPlaces& backend = places.backends[i];
    check_name(findings, seen, "pool.backend.name", pool.backends[i].name,
               {.place = backend.name, .by_address = backend.name == backend.address});
  }
}

void check_names(Findings& findings, const Draft& draft) {
  NamesSeen listeners;
  for (std::size_t i = 0; i < draft.listeners.size(); ++i)
    check_name(findings, listeners, "listener.name", draft.config->listeners[i].name,
               {.place = draft.listeners[i].name, .by_address = false});
  NamesSeen pools;
  for (std::size_t i = 0; i < draft.pools.size(); ++i) {
    check_name(findings, pools, "pool.name", draft.config->pools[i].name,
               {.place = draft.pools[i].name, .by_address = false});
    check_backend_names(findings, draft.config->pools[i], draft.pools[i]);
  }
}

std::string list_some(const std::vector<std::string_view>& names) {
  constexpr std::size_t kMost = 10;
  if (names.empty()) return "the file has no pool";
  std::string list = "pools:";
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i)
    list += fmt::format("{} {}", i == 0 ? "" : ",", names[i]);
  if (names.size() > kMost) list += fmt::format(" and {} more", names.size() - kMost);
  return list;
}

void check_pools_of_listeners(Findings& findings, const Draft& draft) {
  std::vector<std::string_view> names;
  bool every_name_known = true;
  for (std::size_t i = 0; i < draft.pools.size(); ++i) {
    if (draft.pools[i].name)
      names.push_back(draft.config->pools[i].name);
    else
      every_name_known = false;
  }
  const std::unordered_set<std::string_view> known(names.begin(), names.end());
  std::unordered_set<std::string_view> used;
  bool every_use_known = true;
  const auto use = [&](std::string_view key, std::string_view name, Place place) {
    used.insert(name);
    every_use_known = every_use_known && place;
    if (!place || !every_name_known || known.contains(name)) return;
    findings.fault(place, value_fault(key, name,
                                      fmt::format("no pool has this name{} ({})",
                                                  findings.suggest(name, names), list_some(names))));
  };
  for (std::size_t i = 0; i < draft.listeners.size(); ++i) {
    const ListenerConfig& listener = draft.config->listeners[i];
    const ListenerPlaces& places = draft.listeners[i];
    // It may do without when it has routes.
    if (places.pool || listener.door.routes.empty()) use("listener.pool", listener.pool, places.pool);
    for (std::size_t r = 0; r < listener.door.routes.size(); ++r)
      use("listener.route.pool", listener.door.routes[r].pool, places.route_pools[r]);
  }
  if (draft.listeners.empty() || !every_use_known) return;
  for (std::size_t i = 0; i < draft.pools.size(); ++i)
    if (draft.pools[i].name && !used.contains(draft.config->pools[i].name))
      findings.warn(draft.pools[i].name,
                    value_fault("pool.name", draft.config->pools[i].name, "no listener uses this pool"));
}

/// A unix socket cannot be paced.
void check_rates(Findings& findings, const Draft& draft) {
  const Config& config = *draft.config;
  const auto serves = [](const ListenerConfig& listener, const std::string& pool) {
    return listener.pool == pool || std::ranges::any_of(listener.door.routes, [&](const RouteTo& route) {
             return route.pool == pool;
           });
  };
  for (std::size_t i = 0; i < draft.pools.size(); ++i) {
    const PoolConfig& pool = config.pools[i];
    const auto unix_backend = std::ranges::find_if(pool.backends, [](const BackendConfig& backend) {
      return backend.endpoint.address && backend.endpoint.address->is_unix();
    });
    if (pool.rate_to_backend != 0 && unix_backend != pool.backends.end())
      findings.fault(
          draft.pools[i].rate_to_backend,
          fmt::format("pool.rate_to_backend: backend {} is on a unix socket, which cannot be paced",
                      shown(unix_backend->name)));
    const auto unix_listener = std::ranges::find_if(config.listeners, [&](const ListenerConfig& listener) {
      return serves(listener, pool.name) && std::ranges::any_of(listener.bind, &Address::is_unix);
    });
    if (pool.rate_to_client != 0 && unix_listener != config.listeners.end())
      findings.fault(
          draft.pools[i].rate_to_client,
          fmt::format("pool.rate_to_client: listener {} is on a unix socket, which cannot be paced",
                      shown(unix_listener->name)));
  }
}

std::string needed_and_limit(std::uint64_t sessions, std::uint64_t reserved, std::uint64_t limit) {
  return fmt::format(
      "needs {} file descriptors (2 for each session, {} for Weir itself), and the limit is {}",
      2 * sessions + reserved, reserved, limit);
}

void check_limits(Findings& findings, const Draft& draft) {
  const std::uint64_t limit = findings.options().descriptor_limit;
  if (limit == 0) return;
  const Config& config = *draft.config;
  const std::uint32_t workers = resolved_workers(config);
  const std::uint64_t reserved = reserved_descriptors(config, workers, limit);
  const std::uint64_t fit = sessions_that_fit(config, workers, limit);
  if (fit == 0) {
    const Place place = draft.max_connections ? draft.max_connections : Place{.line = 1, .column = 1};
    findings.fault(
        place,
        fmt::format("a single session {}: raise the limit (LimitNOFILE, ulimit -Hn) or use fewer workers",
                    needed_and_limit(1, reserved, limit)));
    return;
  }
  const auto check = [&](std::string_view key, std::uint64_t sessions, Place place) {
    if (place && sessions > fit)
      findings.fault(
          place, fmt::format("{} = {}: {}: at most {} fit, or raise the limit (LimitNOFILE, ulimit -Hn)", key,
                             sessions, needed_and_limit(sessions, reserved, limit), fit));
  };
  check("max_connections", config.max_connections.value_or(0), draft.max_connections);
  for (std::size_t i = 0; i < draft.listeners.size(); ++i)
    check("listener.max_connections", config.listeners[i].max_connections,
          draft.listeners[i].max_connections);
}

void warn_of_limits_without_effect(Findings& findings, const Draft& draft) {
  if (!draft.max_connections) return;
  const std::uint64_t most = draft.config->max_connections.value_or(0);
  for (std::size_t i = 0; i < draft.listeners.size(); ++i) {
    const std::uint64_t own = draft.config->listeners[i].max_connections;
    if (draft.listeners[i].max_connections && own > most)
      findings.warn(
          draft.listeners[i].max_connections,
          fmt::format(
              "listener.max_connections = {} has no effect: max_connections = {} is for the whole process",
              own, most));
  }
}

}  // namespace

void validate(Findings& findings, const Draft& draft, const LoadOptions& options) {
  check_names(findings, draft);
  check_pools_of_listeners(findings, draft);
  check_rates(findings, draft);
  validate_addresses(findings, draft, options.host_addresses ? options.host_addresses() : HostAddresses());
  validate_paths(findings, draft);
  check_limits(findings, draft);
  warn_of_limits_without_effect(findings, draft);
}

}  // namespace weir
