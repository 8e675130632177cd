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
  auto& s = *state_;
  Legacy out;
  out.file = s.config->file;
  out.text = s.config->text;
  for (const auto& pool : s.members.pools) {
    auto& handed =
        out.pools.emplace_back(Legacy::Pool{pool.config.name, pool.verdict, pool.verdict_since, {}, {}});
    handed.stand_ins = s.stand_ins_to_hand_over(pool);
    for (const auto& entry : pool.entries)
      handed.backends.push_back(
          {.file = entry.file,
           .added = entry.added,
           .out = entry.out,
           .admin_since = entry.admin_since,
           .standing = entry.standing,
           .agent = entry.agent,
           .agent_since = entry.agent_since,
           .totals = totals_of(*entry.load),
           .tally = tally_of(*entry.load),
           .active = entry.load->active.load(std::memory_order_relaxed) + s.elsewhere(*entry.load)});
  }
  for (const auto& [key, load] : s.listener_loads.all())
    out.listeners.push_back({key.first, key.second, total_of(*load), tally_of(*load)});
  for (const auto& [id, one] : s.departed.each())
    out.gone.push_back(
        {one.load->pool, one.load->name, one.load->address, totals_of(*one.load), tally_of(*one.load), id});
  for (const auto& [pool, counted] : s.departed.rest())
    out.gone.push_back({pool, "-", "", counted.totals, counted.tally});
  return out;
}

std::vector<Legacy::StandIn> Registry::State::stand_ins_to_hand_over(const PoolEntry& pool) {
  std::vector<Legacy::StandIn> out;
  for (const Backend& backend : stand_ins(pool)) {
    auto& stand_in = out.emplace_back();
    stand_in.pool = backend.load->pool;
    auto& one = stand_in.backend;
    one.file.name = backend.name;
    one.file.endpoint = backend.endpoint;
    one.file.weight = backend.weight;
    one.file.max_sessions = backend.max_sessions;
    one.file.backup = backend.backup;
    one.active = backend.load->active.load(std::memory_order_relaxed) + elsewhere(*backend.load);
    if (const auto member = members.find(backend.id())) {
      one.standing = member->entry->standing;
    } else if (const Leaver* const leaver = leavers.find(backend.id())) {
      one.standing = leaver->standing;
      const PoolEntry* const home = members.find_pool(stand_in.pool);
      stand_in.probed_as_pool = home != nullptr && home->config.probe == leaver->probe;
    }
  }
  return out;
}

void Registry::hand_over(const Legacy& legacy) {
  auto& handed = state_->handed_over;
  handed.done = true;
  const auto note = [&handed](BackendId id, const auto& counted) {
    handed.backends[id] = counted.totals;
    handed.tallies[id] = counted.tally;
  };
  for (const auto& known : legacy.pools) {
    const PoolEntry* const pool = state_->members.find_pool(known.name);
    if (pool == nullptr || pool->entries.size() != known.backends.size()) continue;
    for (std::size_t i = 0; i < known.backends.size(); ++i)
      note(pool->entries[i].load->id, known.backends[i]);
  }
  for (const auto& one : legacy.gone) {
    if (one.id != 0)
      note(one.id, one);
    else
      handed.rest[one.pool] = {one.totals, one.tally};
  }
  for (const auto& listener : legacy.listeners) {
    handed.listeners[{listener.name, listener.pool}] += listener.total;
    handed.listener_tallies[{listener.name, listener.pool}] += listener.tally;
  }
}

Counts Registry::counts() const {
  const auto& s = *state_;
  Counts out;
  const auto note = [&](const BackendLoad& load) {
    Totals totals = totals_of(load);
    if (const auto handed = s.handed_over.backends.find(load.id); handed != s.handed_over.backends.end())
      totals -= handed->second;
    if (totals != Totals()) out.backends[{load.pool, load.name}] += totals;
    Tally tally = tally_of(load);
    if (const auto handed = s.handed_over.tallies.find(load.id); handed != s.handed_over.tallies.end())
      tally -= handed->second;
    if (tally != Tally()) out.tallies[{load.pool, load.name}] += tally;
    if (const auto active = load.active.load(std::memory_order_relaxed); active > 0)
      out.active[{load.pool, load.name}] += active;
  };
  for (const auto& pool : s.members.pools)
    for (const auto& entry : pool.entries) note(*entry.load);
  for (const auto& [id, one] : s.departed.each()) note(*one.load);
  for (const auto& [pool, counted] : s.departed.rest()) {
    Departed::Counted rest = counted;
    if (const auto handed = s.handed_over.rest.find(pool); handed != s.handed_over.rest.end())
      rest -= handed->second;
    if (rest.totals != Totals()) out.backends[{pool, "-"}] += rest.totals;
    if (rest.tally != Tally()) out.tallies[{pool, "-"}] += rest.tally;
  }
  for (const auto& [key, load] : s.listener_loads.all()) {
    std::uint64_t sessions = total_of(*load);
    if (const auto handed = s.handed_over.listeners.find(key); handed != s.handed_over.listeners.end())
      sessions -= handed->second;
    if (sessions > 0) out.listeners[key] += sessions;
    ListenerTally tally = tally_of(*load);
    if (const auto handed = s.handed_over.listener_tallies.find(key);
        handed != s.handed_over.listener_tallies.end())
      tally -= handed->second;
    if (tally != ListenerTally()) out.listener_tallies[key] += tally;
    if (const auto active = load->active.load(std::memory_order_relaxed); active > 0)
      out.listener_active[key] += active;
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
  for (const auto& [key, tally] : counts.listener_tallies)
    count_elsewhere(s.listener_loads.get(key.first, key.second), tally);
  Counts left = counts;
  const auto take = [&](BackendLoad& load) -> std::uint64_t {
    const std::pair key(load.pool, load.name);
    if (const auto tally = left.tallies.extract(key)) count_elsewhere(load, tally.mapped());
    const auto totals = left.backends.extract(key);
    if (!totals) return 0;
    count_elsewhere(load, totals.mapped());
    return totals.mapped().sessions;
  };
  for (auto& pool : s.members.pools)
    for (auto& entry : pool.entries) entry.rate.shift(take(*entry.load));
  for (const auto& [id, one] : s.departed.each()) take(*one.load);
  // No sum over a pool falls for those whom nobody knows any more.
  for (const auto& [key, totals] : left.backends) s.departed.add(key.first, {totals, {}});
  for (const auto& [key, tally] : left.tallies) s.departed.add(key.first, {{}, tally});
}

void Registry::inherit(const Legacy& legacy, std::shared_ptr<const Config> old) {
  auto& s = *state_;
  for (const auto& listener : legacy.listeners)
    count_elsewhere(s.listener_loads.get(listener.name, listener.pool), listener.total);
  for (const auto& listener : legacy.listeners)
    count_elsewhere(s.listener_loads.get(listener.name, listener.pool), listener.tally);
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
      count_elsewhere(*entry.load, backend.tally);
      entry.rate = RateWindow(s.clock.steady(), backend.totals.sessions);
      pool.entries.push_back(std::move(entry));
    }
    s.members.pools.push_back(std::move(pool));
  }
  if (old != nullptr)
    for (const auto& known : legacy.pools)
      for (const auto& one : known.stand_ins)
        s.members.find_pool(known.name)->stand_ins.push_back(s.inherit_stand_in(one));
  for (const auto& one : legacy.gone) {
    if (one.name == "-") {
      s.departed.add(one.pool, {one.totals, one.tally});
      continue;
    }
    auto load = s.leavers.load_of(one.pool, one.name, one.address);
    if (load == nullptr)
      load = std::make_shared<BackendLoad>(++s.last_id, one.pool, one.name, one.address, s.workers);
    count_elsewhere(*load, one.totals);
    count_elsewhere(*load, one.tally);
    s.departed.add(std::move(load), s.clock.steady());
  }
  s.config = std::move(old);
  s.inherited = true;
}

BackendId Registry::State::inherit_stand_in(const Legacy::StandIn& one) {
  const BackendConfig& file = one.backend.file;
  const PoolEntry* const own = members.find_pool(one.pool);
  if (own != nullptr)
    for (const Entry& entry : own->entries)
      if (entry.file.name == file.name && entry.file.endpoint == file.endpoint) return entry.load->id;
  if (const auto load = leavers.load_of(one.pool, file.name, file.endpoint.text)) return load->id;
  PoolEntry home;
  home.config.name = one.pool;
  home.config.probe.kind = "none";
  if (own != nullptr && one.probed_as_pool) home.config.probe = own->config.probe;
  Entry entry;
  entry.file = file;
  entry.standing = one.backend.standing;
  entry.standing.life = ++last_life;
  entry.load = std::make_shared<BackendLoad>(++last_id, one.pool, file.name, file.endpoint.text, workers,
                                             pool_load(one.pool));
  if (one.backend.active > 0)
    active_elsewhere[{one.pool, file.name, file.endpoint.text}] = one.backend.active;
  leave(home, entry);
  // What is said of a namesake is not of it.
  Leaver& leaver = *leavers.find(entry.load->id);
  leaver.last.admin = Admin::Enabled;
  leaver.standing = entry.standing;
  return leaver.last.load->id;
}

}  // namespace weir
