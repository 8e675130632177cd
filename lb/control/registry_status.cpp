// What is to be seen.
#include <fmt/format.h>

#include <algorithm>

#include "lb/base/glob.h"
#include "lb/base/log.h"
#include "lb/control/registry_state.h"

namespace weir {

namespace {

BackendStatus status_of(const Backend& backend) {
  BackendStatus out;
  out.id = backend.id();
  out.name = backend.name;
  out.address = backend.endpoint.text;
  if (!backend.endpoint.address)
    for (const auto& address : backend.addresses) out.resolved.push_back(address.to_string());
  out.weight = backend.weight;
  out.configured_weight = backend.configured_weight;
  out.share_percent = backend.share_percent;
  out.backup = backend.backup;
  out.admin = backend.admin;
  out.health = backend.health;
  out.reason = backend.reason;
  out.since = backend.since;
  out.active = backend.load->active.load(std::memory_order_relaxed);
  for (const auto& worker : backend.load->per_worker) {
    out.total += worker.sessions.load(std::memory_order_relaxed);
    out.connect_failures += worker.connect_failures.load(std::memory_order_relaxed);
    out.bytes_to_backend += worker.bytes_to_backend.load(std::memory_order_relaxed);
    out.bytes_to_client += worker.bytes_to_client.load(std::memory_order_relaxed);
  }
  return out;
}

BackendStatus removed_status(const Backend& backend) {
  auto out = status_of(backend);
  out.removed = true;
  out.reason = "removed; its last sessions go on";
  return out;
}

/// Why a backend that is not eligible is not.
std::string exclusion(const BackendStatus& backend) {
  if (backend.admin != Admin::Enabled)
    return fmt::format("{} by {}", to_string(backend.admin),
                       backend.admin_by_operator ? "an operator" : "the file");
  return fmt::format("{}: {}", to_string(backend.health), backend.reason);
}

std::uint64_t total_of(const ListenerLoad& load) {
  std::uint64_t total = 0;
  for (const auto& worker : load.accepted) total += worker.value.load(std::memory_order_relaxed);
  return total;
}

}  // namespace

std::uint64_t total_sessions(const BackendLoad& load) {
  std::uint64_t total = 0;
  for (const auto& worker : load.per_worker) total += worker.sessions.load(std::memory_order_relaxed);
  return total;
}

void Registry::sample_rates() {
  const auto now = state_->clock.steady();
  for (auto& pool : state_->pools)
    for (auto& entry : pool.entries) entry.rate.sample(now, total_sessions(*entry.load));
}

BackendStatus Registry::State::entry_status(const PoolEntry& pool, const Entry& entry) const {
  auto out = status_of(backend(pool, entry));
  const auto* said = override_of(pool, entry);
  out.admin_by_operator = said != nullptr && said->admin.has_value();
  out.admin_since = out.admin_by_operator ? said->admin_since : entry.admin_since;
  out.configured_admin = entry.file.admin;
  out.added = entry.added;
  out.sessions_per_second = entry.rate.per_second(clock.steady(), out.total);
  // What the published pool says, for only a whole pool knows whether try_all is in force.
  const auto* published = pool.built ? pool.built->find(entry.load->id) : nullptr;
  if (published == nullptr) return out;
  out.eligible = published->eligible();
  if (published->used_although_down && out.eligible)
    out.reason += "; used although down, no backend of the pool is up (on_all_down = \"try_all\")";
  if (published->on_trial && out.eligible) out.reason += "; on trial, one session at a time";
  return out;
}

PoolStatus Registry::State::pool_status(const PoolEntry& pool, std::string_view backend_glob) const {
  PoolStatus out{.name = pool.config.name, .balance = pool.config.balance, .removed = false, .backends = {}};
  const auto wanted = [&](const std::string& name) {
    return backend_glob.empty() || glob_matches(backend_glob, name);
  };
  for (const auto& entry : pool.entries) {
    if (!wanted(entry.file.name)) continue;
    if (!entry.out)
      out.backends.push_back(entry_status(pool, entry));
    else if (entry.load->active > 0)
      out.backends.push_back(removed_status(backend(pool, entry)));
  }
  for (const auto& leaver : leavers)
    if (leaver.last.load->pool == out.name && leaver.last.load->active > 0 && wanted(leaver.last.name))
      out.backends.push_back(removed_status(leaver.last));
  return out;
}

CommandResult<Status> Registry::status(std::string_view pool_name, std::string_view backend_glob) const {
  const auto& s = *state_;
  Status out;
  out.generation = s.table->generation;
  for (const auto& [key, load] : s.listener_loads) {
    out.active += load->active.load(std::memory_order_relaxed);
    out.total += total_of(*load);
  }
  const auto wanted = [&](const std::string& name) {
    return pool_name.empty() || glob_matches(pool_name, name);
  };
  bool pool_found = false, backend_found = false;
  for (const auto& pool : s.pools) {
    if (!wanted(pool.config.name)) continue;
    pool_found = true;
    auto one = s.pool_status(pool, backend_glob);
    backend_found = backend_found || !one.backends.empty();
    if (backend_glob.empty() || !one.backends.empty()) out.pools.push_back(std::move(one));
  }
  for (const auto& leaver : s.leavers) {
    const auto& load = *leaver.last.load;
    const auto shown = [&](const PoolStatus& pool) { return pool.name == load.pool; };
    if (load.active == 0 || !wanted(load.pool) ||
        (!backend_glob.empty() && !glob_matches(backend_glob, load.name)))
      continue;
    pool_found = backend_found = true;
    if (std::any_of(s.pools.begin(), s.pools.end(), [&](auto& p) { return p.config.name == load.pool; }))
      continue;
    auto found = std::find_if(out.pools.begin(), out.pools.end(), shown);
    if (found == out.pools.end())
      found = out.pools.insert(out.pools.end(), PoolStatus{load.pool, "", true, {}});
    found->backends.push_back(removed_status(leaver.last));
  }
  if (!pool_found && !pool_name.empty()) return tl::unexpected(s.unknown_pool(pool_name));
  if (!backend_found && !backend_glob.empty())
    return tl::unexpected(s.unknown_backend(pool_name, backend_glob));
  if (s.config != nullptr)
    for (const auto& listener : s.config->listeners)
      if (wanted(listener.pool)) out.listeners.push_back(s.listener_status(listener));
  return out;
}

ListenerStatus Registry::State::listener_status(const ListenerConfig& listener) const {
  ListenerStatus out{.name = listener.name,
                     .bind = {},
                     .pool = listener.pool,
                     .max_connections = listener.max_connections,
                     .active = 0,
                     .total = 0};
  for (const auto& address : listener.bind) out.bind.push_back(address.to_string());
  for (const auto& [key, load] : listener_loads) {
    if (key.first != listener.name) continue;
    out.active += load->active.load(std::memory_order_relaxed);
    out.total += total_of(*load);
  }
  return out;
}

CommandResult<Explanation> Registry::explain(std::string_view pool_name, std::string_view client_ip) const {
  const auto& s = *state_;
  const auto* pool = state_->find_pool(pool_name);
  if (pool == nullptr) return tl::unexpected(s.unknown_pool(pool_name));
  const auto client = ClientAddress::parse_ip(client_ip);
  if (!client) return tl::unexpected(CommandError{CommandError::Kind::Usage, client.error().message});
  Explanation out{.pool = pool->config.name,
                  .client = client->ip_to_string(),
                  .backend = {},
                  .because = {},
                  .excluded = {}};
  const auto* picked = pool->built->explain({.client = *client, .tried = {}}, out.because);
  if (picked != nullptr) out.backend = picked->name;
  const bool by_backup = picked != nullptr && picked->backup;
  for (const auto& entry : pool->entries) {
    if (entry.out) continue;
    const auto status = s.entry_status(*pool, entry);
    if (!status.eligible)
      out.excluded.emplace_back(status.name, exclusion(status));
    else if (status.backup && !by_backup)
      out.excluded.emplace_back(status.name, "a backup: used when no primary is eligible");
  }
  return out;
}

}  // namespace weir
