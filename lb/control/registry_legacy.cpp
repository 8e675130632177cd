// Handing on what is known, and taking it over.
#include <algorithm>
#include <unordered_map>

#include "lb/control/registry_state.h"

namespace weir {

namespace {

void count_elsewhere(BackendLoad& load, const Totals& totals) {
  WorkerTotals::add(load.elsewhere.sessions, totals.sessions);
  WorkerTotals::add(load.elsewhere.connect_failures, totals.connect_failures);
  WorkerTotals::add(load.elsewhere.bytes_to_backend, totals.bytes_to_backend);
  WorkerTotals::add(load.elsewhere.bytes_to_client, totals.bytes_to_client);
}

void count_elsewhere(ListenerLoad& load, std::uint64_t sessions) {
  WorkerTotals::add(load.elsewhere.value, sessions);
}

Totals totals_of(const WorkerTotals& counted) {
  return {.sessions = counted.sessions.load(std::memory_order_relaxed),
          .connect_failures = counted.connect_failures.load(std::memory_order_relaxed),
          .bytes_to_backend = counted.bytes_to_backend.load(std::memory_order_relaxed),
          .bytes_to_client = counted.bytes_to_client.load(std::memory_order_relaxed)};
}

}  // namespace

Totals totals_of(const BackendLoad& load) {
  Totals out = totals_of(load.elsewhere);
  for (const auto& worker : load.per_worker) out += totals_of(worker);
  return out;
}

Legacy Registry::legacy() const {
  const auto& s = *state_;
  Legacy out;
  out.file = s.config->file;
  out.text = s.config->text;
  for (const auto& pool : s.members.pools) {
    auto& list =
        out.pools.emplace_back(Legacy::Pool{pool.config.name, pool.verdict, pool.verdict_since, {}}).backends;
    for (const auto& entry : pool.entries)
      list.push_back(
          {.file = entry.file,
           .added = entry.added,
           .out = entry.out,
           .admin_since = entry.admin_since,
           .standing = entry.standing,
           .agent = entry.agent,
           .agent_since = entry.agent_since,
           .totals = totals_of(*entry.load),
           .active = entry.load->active.load(std::memory_order_relaxed) + s.elsewhere(*entry.load)});
  }
  for (const auto& [key, load] : s.listener_loads.all())
    out.listeners.push_back({key.first, key.second, total_of(*load)});
  return out;
}

void Registry::hand_over(const Legacy& legacy) {
  auto& handed = state_->handed_over;
  for (const auto& known : legacy.pools) {
    const PoolEntry* const pool = state_->members.find_pool(known.name);
    if (pool == nullptr || pool->entries.size() != known.backends.size()) continue;
    for (std::size_t i = 0; i < known.backends.size(); ++i)
      handed.backends[pool->entries[i].load->id] = known.backends[i].totals;
  }
  for (const auto& listener : legacy.listeners)
    handed.listeners[{listener.name, listener.pool}] += listener.total;
}

Counts Registry::counts() const {
  const auto& s = *state_;
  Counts out;
  const auto note = [&](const BackendLoad& load) {
    Totals totals = totals_of(load);
    if (const auto handed = s.handed_over.backends.find(load.id); handed != s.handed_over.backends.end())
      totals -= handed->second;
    if (totals != Totals()) out.backends[{load.pool, load.name}] += totals;
  };
  for (const auto& pool : s.members.pools)
    for (const auto& entry : pool.entries) note(*entry.load);
  for (const auto& [id, leaver] : s.leavers.all()) note(*leaver.last.load);
  for (const auto& [key, load] : s.listener_loads.all()) {
    std::uint64_t sessions = total_of(*load);
    if (const auto handed = s.handed_over.listeners.find(key); handed != s.handed_over.listeners.end())
      sessions -= handed->second;
    if (sessions > 0) out.listeners[key] += sessions;
  }
  return out;
}

bool Registry::any_limited() const {
  return std::ranges::any_of(state_->table->pools, [](const auto& pool) { return pool->limited(); });
}

SessionsByBackend Registry::active() const {
  SessionsByBackend out;
  const auto note = [&out](const BackendLoad& load) {
    if (const std::uint32_t active = load.active.load(std::memory_order_relaxed); active > 0)
      out[{load.pool, load.name, load.address}] += active;
  };
  for (const auto& pool : state_->members.pools)
    for (const auto& entry : pool.entries) note(*entry.load);
  for (const auto& [id, leaver] : state_->leavers.all()) note(*leaver.last.load);
  return out;
}

void Registry::set_active_elsewhere(SessionsByBackend sessions) {
  auto& s = *state_;
  s.active_elsewhere = std::move(sessions);
  const auto tell = [&s](BackendLoad& load) { load.set_active_elsewhere(s.elsewhere(load)); };
  for (auto& pool : s.members.pools)
    for (auto& entry : pool.entries) tell(*entry.load);
  for (const auto& [id, leaver] : s.leavers.all()) tell(*leaver.last.load);
}

void Registry::add(const Counts& counts) {
  auto& s = *state_;
  for (const auto& [key, sessions] : counts.listeners)
    count_elsewhere(s.listener_loads.get(key.first, key.second), sessions);
  Counts left = counts;
  const auto take = [&](BackendLoad& load) -> std::uint64_t {
    const auto found = left.backends.find({load.pool, load.name});
    if (found == left.backends.end()) return 0;
    const std::uint64_t sessions = found->second.sessions;
    count_elsewhere(load, found->second);
    left.backends.erase(found);
    return sessions;
  };
  for (auto& pool : s.members.pools)
    for (auto& entry : pool.entries) entry.rate.shift(take(*entry.load));
  for (const auto& [id, leaver] : s.leavers.all()) take(*leaver.last.load);
}

void Registry::inherit(const Legacy& legacy, std::shared_ptr<const Config> old) {
  auto& s = *state_;
  for (const auto& listener : legacy.listeners)
    count_elsewhere(s.listener_loads.get(listener.name, listener.pool), listener.total);
  for (const auto& known : legacy.pools) {
    PoolEntry pool;
    pool.config.name = known.name;
    pool.load = s.pool_load(known.name);
    pool.verdict = known.verdict;
    pool.verdict_since = known.verdict_since;
    if (const PoolConfig* const config = old != nullptr ? old->find_pool(known.name) : nullptr)
      pool.config = *config;
    std::unordered_map<std::string_view, const BackendConfig*> in_file;
    for (const auto& file : pool.config.backends) in_file.emplace(file.name, &file);
    for (const auto& backend : known.backends) {
      Entry entry;
      entry.file = backend.file;
      const auto file = in_file.find(backend.file.name);
      if (file != in_file.end() && file->second->endpoint == backend.file.endpoint)
        entry.file = *file->second;
      entry.added = backend.added;
      entry.out = backend.out;
      entry.admin_since = backend.admin_since;
      entry.standing = backend.standing;
      entry.agent = backend.agent;
      entry.agent_since = backend.agent_since;
      // By which probe it was found cannot be told.
      if (old == nullptr) entry.standing.health = Health::Unknown;
      entry.standing.life = ++s.last_life;
      entry.load = std::make_shared<BackendLoad>(++s.last_id, known.name, backend.file.name,
                                                 backend.file.endpoint.text, s.workers, pool.load);
      if (backend.active > 0)
        s.active_elsewhere[{known.name, backend.file.name, backend.file.endpoint.text}] = backend.active;
      count_elsewhere(*entry.load, backend.totals);
      entry.rate = RateWindow(s.clock.steady(), backend.totals.sessions);
      pool.entries.push_back(std::move(entry));
    }
    s.members.pools.push_back(std::move(pool));
  }
  s.config = std::move(old);
  s.inherited = true;
}

}  // namespace weir
