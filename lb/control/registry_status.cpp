// What is to be seen.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "lb/base/glob.h"
#include "lb/base/log.h"
#include "lb/control/config_difference.h"
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
  out.max_sessions = backend.max_sessions;
  const Totals totals = totals_of(*backend.load);
  out.total = totals.sessions;
  out.connect_failures = totals.connect_failures;
  out.bytes_to_backend = totals.bytes_to_backend;
  out.bytes_to_client = totals.bytes_to_client;
  return out;
}

std::uint64_t monotonic_ms() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

TimeSummary summary_of(const TimeCounts& times) {
  return {times.quantile(0.5), times.quantile(0.99)};
}
/// Whether some worker has recorded one: of thousands of backends most are idle.
bool has_any(const BackendLoad& load, std::atomic<TimeHistogram*> WorkerTotals::*times) {
  return std::ranges::any_of(load.per_worker, [times](const WorkerTotals& totals) {
    return (totals.*times).load(std::memory_order_relaxed) != nullptr;
  });
}

TimeSummary counted_in(TimeCounts& sum, const TimeCounts& times) {
  sum += times;
  return summary_of(times);
}

/// Why a backend that is not eligible is not.
std::string exclusion(const BackendStatus& backend) {
  if (backend.admin_word && backend.admin != Admin::Enabled) return to_string(*backend.admin_word);
  if (backend.admin != Admin::Enabled) return fmt::format("{} by the file", to_string(backend.admin));
  if (backend.agent && !backend.agent->serves()) return "its agent says: " + backend.agent->in_words();
  return fmt::format("{}: {}", to_string(backend.health), backend.reason);
}

/// What the pool's Table says of each of its entries; null: nothing.
std::vector<const Backend*> published_entries(const PoolEntry& pool) {
  std::vector<const Backend*> out(pool.entries.size());
  if (pool.built == nullptr) return out;
  std::unordered_map<BackendId, const Backend*> by_id;
  for (const Backend& backend : pool.built->backends()) by_id.emplace(backend.id(), &backend);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (const auto found = by_id.find(pool.entries[i].load->id); found != by_id.end()) out[i] = found->second;
  return out;
}

}  // namespace

std::uint64_t total_sessions(const BackendLoad& load) {
  std::uint64_t total = load.elsewhere.sessions.load(std::memory_order_relaxed);
  for (const auto& worker : load.per_worker) total += worker.sessions.load(std::memory_order_relaxed);
  return total;
}

void Registry::sample_rates() {
  const auto now = state_->clock.steady();
  // What has been handed over is told apart by who it was.
  if (!state_->handed_over.done) state_->departed.tidy(now);
  for (auto& pool : state_->members.pools)
    for (auto& entry : pool.entries) {
      const Totals totals = totals_of(*entry.load);
      entry.rate.sample(now, totals.sessions);
      entry.to_backend.sample(now, totals.bytes_to_backend);
      entry.to_client.sample(now, totals.bytes_to_client);
      if (entry.connects.due(now)) entry.connects.sample(now, entry.load->connect_times());
      if (entry.first_bytes.due(now)) entry.first_bytes.sample(now, entry.load->first_byte_times());
    }
}

BackendStatus Registry::State::counted(const Backend& backend) const {
  auto out = status_of(backend);
  const auto found = handed_over.backends.find(backend.id());
  if (found == handed_over.backends.end()) return out;
  out.total -= found->second.sessions;
  out.connect_failures -= found->second.connect_failures;
  out.bytes_to_backend -= found->second.bytes_to_backend;
  out.bytes_to_client -= found->second.bytes_to_client;
  return out;
}

BackendStatus Registry::State::removed_status(const Backend& backend) const {
  auto out = counted(backend);
  out.removed = true;
  out.reason = "removed; its last sessions go on";
  return out;
}

BackendStatus Registry::State::leaver_status(const Leaver& leaver) const {
  auto out = removed_status(leaver.now(clock.steady()));
  if (!leaver.stands_in) return out;
  out.eligible = leaver.standing.serves();
  out.reason = out.eligible ? "removed; stands in until a new backend has a verdict"
                            : "removed; would stand in, but: " + leaver.standing.reason;
  return out;
}

BackendStatus Registry::State::entry_status(const PoolEntry& pool, const Entry& entry,
                                            const Backend* published,
                                            const StandInPools& stand_in_pools) const {
  auto out = counted(backend(pool, entry));
  const auto* said = words.find(pool.config.name, entry.file.name);
  if (said != nullptr) {
    out.admin_word = said->admin;
    out.weight_word = said->weight;
  }
  out.admin_since = out.admin_word ? out.admin_word->since : entry.admin_since;
  out.configured_admin = entry.file.admin;
  out.added = entry.added;
  const auto now = clock.steady();
  out.sessions_per_second = entry.rate.per_second(now, out.total);
  out.to_backend_per_second = entry.to_backend.per_second(now, out.bytes_to_backend);
  out.to_client_per_second = entry.to_client.per_second(now, out.bytes_to_client);
  if (const auto took = entry.load->last_probe.load();
      took >= std::chrono::microseconds(0) && pool.probes(entry))
    out.last_probe = took;
  if (pool.has_agent(entry)) {
    out.agent = entry.agent;
    out.agent_since = entry.agent_since;
  }
  out.own_probe = own_probe_keys(pool.config, entry.file);
  if (published == nullptr) return out;
  out.eligible = published->eligible();
  if (published->used_although_down && out.eligible)
    out.reason += "; used although down, no backend of the pool is up (on_all_down = \"try_all\")";
  if (const auto pools = stand_in_pools.find(out.id); out.eligible && pools != stand_in_pools.end())
    for (const auto other : pools->second)
      out.reason += fmt::format("; stands in for pool {} until a backend of it has a verdict", other);
  if (published->for_one_session() && out.eligible) out.reason += "; on trial, one session at a time";
  if (published->last_resort && out.eligible)
    out.reason += fmt::format("; used although {}, no backend of the pool is in rotation",
                              published->on_trial ? "on trial" : "ejected");
  return out;
}

Registry::State::StandInPools Registry::State::stand_in_pools() const {
  StandInPools out;
  for (const auto& pool : members.pools)
    for (const BackendId id : pool.stand_ins) out[id].push_back(pool.config.name);
  return out;
}

PoolStatus Registry::State::pool_status(const PoolEntry& pool, std::string_view backend_glob,
                                        const StandInPools& stand_in_pools) const {
  PoolStatus out{
      .name = pool.config.name,
      .balance = pool.config.balance,
      .removed = false,
      .verdict = pool.verdict,
      .verdict_since = pool.verdict_since,
      .up = pool.built ? count_of_up(*pool.built) : "",
      .limited = std::ranges::any_of(
          pool.entries,
          [](const Entry& entry) { return (entry.file.max_sessions | entry.agent.max_sessions) != 0; }),
      .queued = pool.load->queued(),
      .queue = pool.config.queue,
      .overloaded = pool.load->overloaded.load(std::memory_order_relaxed),
      .hedges = pool.config.hedge_after > Millis(0),
      .hedged = pool.load->hedged.load(std::memory_order_relaxed),
      .hedges_won = pool.load->hedges_won.load(std::memory_order_relaxed),
      .connects = {},
      .first_bytes = {},
      .backends = {}};
  TimeCounts connects, first_bytes;
  const auto wanted = [&](const std::string& name) {
    return backend_glob.empty() || glob_matches(backend_glob, name);
  };
  const auto published = published_entries(pool);
  if (backend_glob.empty()) out.backends.reserve(pool.entries.size());
  for (std::size_t i = 0; i < pool.entries.size(); ++i) {
    const Entry& entry = pool.entries[i];
    if (!wanted(entry.file.name)) continue;
    if (!entry.out) {
      auto& one = out.backends.emplace_back(entry_status(pool, entry, published[i], stand_in_pools));
      const BackendLoad& load = *entry.load;
      if (has_any(load, &WorkerTotals::connect_times))
        one.connects = counted_in(connects, entry.connects.recent(load.connect_times()));
      if (has_any(load, &WorkerTotals::first_byte_times))
        one.first_bytes = counted_in(first_bytes, entry.first_bytes.recent(load.first_byte_times()));
    } else if (entry.load->active > 0) {
      out.backends.push_back(removed_status(backend(pool, entry)));
    }
  }
  out.connects = summary_of(connects);
  out.first_bytes = summary_of(first_bytes);
  return out;
}

CommandResult<Status> Registry::status(std::string_view pool_name, std::string_view backend_glob) const {
  const auto& s = *state_;
  Status out;
  out.generation = s.table->generation;
  const auto sessions = s.listener_loads.sum();
  out.active = sessions.active;
  out.total = sessions.total;
  for (const auto& [key, total] : s.handed_over.listeners) out.total -= total;
  const auto wanted = [&](const std::string& name) {
    return pool_name.empty() || glob_matches(pool_name, name);
  };
  bool pool_found = false, backend_found = false;
  const auto stand_in_pools = s.stand_in_pools();
  std::unordered_map<std::string_view, std::size_t> place;  // in out.pools
  for (const auto& pool : s.members.pools) {
    if (!wanted(pool.config.name)) continue;
    pool_found = true;
    place.emplace(pool.config.name, out.pools.size());
    out.pools.push_back(s.pool_status(pool, backend_glob, stand_in_pools));
  }
  for (const auto& [id, leaver] : s.leavers.all()) {
    const auto& load = *leaver.last.load;
    if (!s.in_view(leaver) || !wanted(load.pool) ||
        (!backend_glob.empty() && !glob_matches(backend_glob, load.name)))
      continue;
    pool_found = true;
    const auto [at, is_new] = place.emplace(load.pool, out.pools.size());
    if (is_new) {
      PoolStatus gone;
      gone.name = load.pool;
      gone.removed = true;
      out.pools.push_back(std::move(gone));
    }
    out.pools[at->second].backends.push_back(s.leaver_status(leaver));
  }
  if (!backend_glob.empty())
    std::erase_if(out.pools, [](const PoolStatus& pool) { return pool.backends.empty(); });
  backend_found = !out.pools.empty();
  if (!pool_found && !pool_name.empty()) return tl::unexpected(s.unknown_pool(pool_name));
  if (!backend_found && !backend_glob.empty())
    return tl::unexpected(s.unknown_backend(pool_name, backend_glob));
  if (s.config == nullptr) return out;
  const auto sums = s.listener_loads.sums();
  for (const auto& listener : s.config->listeners) {
    const auto found = sums.find(listener.name);
    const bool by_route =
        std::ranges::any_of(listener.door.routes, [&](const RouteTo& route) { return wanted(route.pool); });
    if (wanted(listener.pool) || by_route)
      out.listeners.push_back(
          s.listener_status(listener, found != sums.end() ? found->second : ListenerLoads::Sum()));
  }
  return out;
}

ListenerStatus Registry::State::listener_status(const ListenerConfig& listener,
                                                const ListenerLoads::Sum& sessions) const {
  ListenerStatus out{.name = listener.name,
                     .bind = {},
                     .pool = listener.pool,
                     .max_connections = listener.max_connections,
                     .active = 0,
                     .total = 0};
  for (const auto& address : listener.bind) out.bind.push_back(address.to_string());
  out.active = sessions.active;
  out.total = sessions.total;
  auto turned_away = sessions.turned_away;
  for (auto handed = handed_over.listener_tallies.lower_bound({listener.name, ""});
       handed != handed_over.listener_tallies.end() && handed->first.first == listener.name; ++handed)
    for (std::size_t end = 0; end < kEnds; ++end) turned_away[end] -= handed->second.turned_away[end];
  for (std::size_t end = 0; end < kEnds; ++end)
    if (turned_away[end] > 0)
      out.turned_away.emplace_back(to_string(static_cast<End>(end)), turned_away[end]);
  for (auto handed = handed_over.listeners.lower_bound({listener.name, ""});
       handed != handed_over.listeners.end() && handed->first.first == listener.name; ++handed)
    out.total -= handed->second;
  return out;
}

CommandResult<std::vector<std::string>> Registry::unready(const std::vector<std::string>& listeners) const {
  const auto& s = *state_;
  std::set<std::string_view> unknown(listeners.begin(), listeners.end());
  std::vector<std::string> out;
  for (const auto& listener : s.config->listeners) {
    const bool named = unknown.erase(listener.name) > 0;
    if (listeners.empty() ? !listener.ready : !named) continue;
    std::set<std::string_view> pools;
    if (!listener.pool.empty()) pools.insert(listener.pool);
    for (const RouteTo& route : listener.door.routes) pools.insert(route.pool);
    for (const std::string_view name : pools) {
      const auto* pool = s.members.find_pool(name);
      if (pool != nullptr && pool->built != nullptr && pool->built->any_eligible()) continue;
      out.push_back(fmt::format("listener {}: pool {} has no eligible backend ({})", listener.name, name,
                                pool != nullptr && pool->built ? count_of_up(*pool->built) : "none"));
    }
  }
  if (unknown.empty()) return out;
  return tl::unexpected(unknown_listener(*unknown.begin()));
}

std::uint64_t Registry::listener_sessions(std::string_view name) const {
  const auto sums = state_->listener_loads.sums();
  const auto found = sums.find(name);
  return found != sums.end() ? found->second.active : 0;
}

CommandResult<Explanation> Registry::explain(std::string_view pool_name, std::string_view client_ip) const {
  const auto& s = *state_;
  const auto* pool = state_->members.find_pool(pool_name);
  if (pool == nullptr) return tl::unexpected(s.unknown_pool(pool_name));
  const auto client =
      client_ip == "unix" ? Result<ClientAddress>(ClientAddress()) : ClientAddress::parse_ip(client_ip);
  if (!client) return tl::unexpected(CommandError{CommandError::Kind::Usage, client.error().message});
  Explanation out{.pool = pool->config.name,
                  .client = client->ip().empty() ? "unix" : client->ip_to_string(),
                  .backend = {},
                  .because = {},
                  .excluded = {}};
  const PickInput input{.client = *client, .tried = {}, .now_ms = monotonic_ms()};
  const Choice choice = pool->built->explain(input, out.because);
  if (choice.kind == Choice::Kind::Wait) out.waits_for = choice.wait_for;
  const auto* const picked = choice.backend;
  if (picked != nullptr) out.backend = picked->name;
  if (picked != nullptr && picked->stand_in)
    out.because.push_back(fmt::format("{} stands in: no backend of the pool has a verdict yet",
                                      format_key(picked->load->pool, picked->name)));
  const bool by_backup = picked != nullptr && picked->backup;
  const auto published = published_entries(*pool);
  const auto stand_in_pools = s.stand_in_pools();
  for (std::size_t i = 0; i < pool->entries.size(); ++i) {
    if (pool->entries[i].out) continue;
    const auto status = s.entry_status(*pool, pool->entries[i], published[i], stand_in_pools);
    if (!status.eligible)
      out.excluded.emplace_back(status.name, exclusion(status));
    else if (status.backup && !by_backup)
      out.excluded.emplace_back(status.name, "a backup: used when no primary is eligible");
  }
  return out;
}

}  // namespace weir
