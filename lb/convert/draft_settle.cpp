// What makes a draft a file that `weir check` takes.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "lb/base/address.h"
#include "lb/base/own_sockets.h"
#include "lb/convert/draft.h"

namespace weir::convert {

namespace {

bool is_agents(const std::string& key) {
  return key == "agent_port" || key == "interval" || key == "timeout";
}

/// A backend that is not probed has no keys of a probe, but may have an agent.
void settle_unprobed(Table& health, bool says_none) {
  Table kept;
  for (const auto& note : health.notes()) kept.note(note);
  if (says_none) kept.set("probe", quoted_toml("none"));
  for (const auto& [key, value] : health.keys())
    if ((health.has("agent_port") && is_agents(key)) || key.starts_with("eject_")) kept.set(key, value);
  health = kept;
}

void settle_probes(Pool& pool) {
  if (pool.backends.empty()) return;
  const bool any = std::ranges::any_of(pool.backends, &Backend::probed);
  if (!any) {
    settle_unprobed(pool.health, true);
    for (Backend& one : pool.backends) settle_unprobed(one.health, false);
  }
  for (Backend& one : pool.backends)
    if (any && !one.probed) settle_unprobed(one.health, true);
  const auto first = pool.backends.front().health.keys();
  for (const auto& [key, value] : first) {
    const bool same =
        key != "address" && std::ranges::all_of(pool.backends, [&, k = key, v = value](const Backend& one) {
          return one.health.value(k) == v;
        });
    if (!same) continue;
    pool.health.set(key, value);
    for (Backend& one : pool.backends) one.health.erase(key);
  }
}

/// Two servers of one name, or of one address without names, are told apart.
void settle_names(Pool& pool) {
  std::set<std::string> taken;
  for (Backend& one : pool.backends) {
    std::string name = one.table.has("name") ? one.table.value("name") : one.table.value("address");
    if (taken.insert(name).second) continue;
    const std::string base = name.substr(1, name.size() - 2);
    for (int i = 2; !taken.insert(name).second; ++i) name = quoted_toml(fmt::format("{}-{}", base, i));
    one.table.set("name", name);
  }
}

/// The second one of a name has another; who means the name means the first.
template <class Named>
void settle_names_of(std::vector<Named>& all, std::string_view file) {
  std::set<std::string> taken;
  for (Named& one : all) {
    const std::string name = one.name;
    for (int i = 2; !taken.insert(one.name).second; ++i) one.name = fmt::format("{}-{}", name, i);
    if (one.name != name)
      one.table.note(fmt::format("{}: the name {} is taken: it is {} here", file, name, one.name));
  }
}

}  // namespace

void Draft::settle(std::string_view file) {
  for (Pool& pool : pools) {
    settle_probes(pool);
    settle_names(pool);
  }
  settle_names_of(pools, file);
  settle_names_of(listeners, file);
  drop_loops(file);
  drop_empty_pools(file);
  drop_ways_to_nowhere(file);
  drop_overlapping_addresses(file);
  drop_listeners_without_use(file);
  drop_rates_of_unix_sockets(file);
}

void Draft::drop_loops(std::string_view file) {
  OwnSockets own{HostAddresses()};
  for (std::size_t i = 0; i < listeners.size(); ++i)
    for (const auto& address : listeners[i].bind)
      if (const auto bound = parse_endpoint(address); bound && bound->address) own.add(*bound->address, i);
  for (Pool& pool : pools)
    std::erase_if(pool.backends, [&](const Backend& backend) {
      const auto address = backend.table.value("address");
      const auto endpoint = parse_endpoint(std::string_view(address).substr(1, address.size() - 2));
      if (!endpoint) return false;
      for (const Address& to : known_addresses(*endpoint))
        if (const auto listener = own.reached_by(to)) {
          for (const auto& note : backend.table.notes()) pool.table.note(note);
          pool.table.note(fmt::format(
              "{}: {}: the backend {} is left out: it is the listener {} of this file, and a session "
              "would go through Weir twice: use the pool behind that",
              file, pool.name, endpoint->text, listeners[*listener].name));
          return true;
        }
      return false;
    });
}

void Draft::drop_empty_pools(std::string_view file) {
  for (const Pool& pool : pools) {
    if (!pool.backends.empty()) continue;
    for (const auto& note : pool.table.notes()) root.note(note);
    root.note(fmt::format("{}: {}: no pool, for it has no backend", file, pool.name));
  }
  std::erase_if(pools, [](const Pool& pool) { return pool.backends.empty(); });
}

void Draft::drop_rates_of_unix_sockets(std::string_view file) {
  for (Pool& pool : pools) {
    const bool of_backends = std::ranges::any_of(
        pool.backends, [](const Backend& one) { return one.table.value("address").starts_with("\"unix:"); });
    const bool of_clients = std::ranges::any_of(listeners, [&](const Listener& one) {
      const bool leads =
          one.pool == pool.name || std::ranges::find(one.routes, pool.name, &Route::pool) != one.routes.end();
      return leads && one.on_unix();
    });
    for (const auto& [key, on_unix] :
         {std::pair("rate_to_backend", of_backends), std::pair("rate_to_client", of_clients)}) {
      if (!on_unix || !pool.table.has(key)) continue;
      pool.table.note(
          fmt::format("{}: {}: {} = {} is left out: the kernel paces TCP alone, and no unix socket", file,
                      pool.name, key, pool.table.value(key)));
      pool.table.erase(key);
    }
  }
}

void Draft::drop_ways_to_nowhere(std::string_view file) {
  for (Listener& listener : listeners) {
    std::erase_if(listener.routes, [&](const Route& route) {
      if (pool(route.pool) != nullptr) return false;
      for (const auto& note : route.notes) listener.table.note(note);
      listener.table.note(
          fmt::format("{}: {}: a route by {} is left out, for there is no pool {}", file, listener.name,
                      fmt::format("{}", !route.names.empty()     ? list_toml(route.names)
                                        : !route.clients.empty() ? list_toml(route.clients)
                                                                 : list_toml(route.protocols)),
                      route.pool));
      return true;
    });
    if (listener.pool.empty() || pool(listener.pool) != nullptr) continue;
    listener.table.note(fmt::format("{}: {}: there is no pool {}: whom no route takes is refused", file,
                                    listener.name, listener.pool));
    listener.pool.clear();
  }
}

void Draft::drop_overlapping_addresses(std::string_view file) {
  struct Bound {
    std::string listener, address;
    bool wildcard;
  };
  std::map<std::string, std::vector<Bound>> by_port;
  for (Listener& listener : listeners) {
    std::vector<std::string> kept;
    for (const auto& address : listener.bind) {
      const auto parsed = Address::parse_ip_port(address);
      const bool wildcard = parsed && parsed->is_wildcard();
      const auto port = parsed ? fmt::format("{} {}", parsed->family(), parsed->port()) : address;
      auto& others = by_port[port];
      // Every address of a port has its single ones in it.
      const bool all_its_own =
          std::ranges::all_of(others, [&](const Bound& one) { return one.listener == listener.name; });
      if (wildcard && all_its_own) {
        for (const Bound& one : others) std::erase(kept, one.address);
        others.clear();
      }
      const auto other = std::ranges::find_if(
          others, [&](const Bound& one) { return one.wildcard || wildcard || one.address == address; });
      if (other == others.end()) {
        others.push_back({listener.name, address, wildcard});
        kept.push_back(address);
      } else if (other->listener != listener.name || other->address != address) {
        listener.table.note(
            fmt::format("{}: {}: bind {} is left out: {} of {} is the same there; Weir binds "
                        "one of them",
                        file, listener.name, address, other->address, other->listener));
      }
    }
    listener.bind = kept;
  }
}

void Draft::drop_listeners_without_use(std::string_view file) {
  std::erase_if(listeners, [&](const Listener& listener) {
    const bool leads = !listener.pool.empty() || !listener.routes.empty();
    if (!listener.bind.empty() && leads) return false;
    for (const auto& note : listener.table.notes()) root.note(note);
    root.note(fmt::format("{}: {}: no listener, for it has no {}", file, listener.name,
                          leads ? "address" : "pool"));
    return true;
  });
}

}  // namespace weir::convert
