// Taking a configuration by difference.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "lb/control/registry_state.h"

namespace weir {

namespace {

/// Keys are copies: what they are of is moved on.
template <class Named, class NameOf>
std::unordered_map<std::string, Named*> by_name(std::vector<Named>& all, NameOf name_of) {
  std::unordered_map<std::string, Named*> out;
  out.reserve(all.size());
  for (Named& one : all) out.emplace(name_of(one), &one);
  return out;
}

template <class Named>
Named* found_in(const std::unordered_map<std::string, Named*>& all, const std::string& name) {
  const auto found = all.find(name);
  return found != all.end() ? found->second : nullptr;
}

}  // namespace

ApplyReport Registry::apply(std::shared_ptr<const Config> config) {
  const bool inherited = std::exchange(state_->inherited, false);
  ApplyReport report = state_->take(*config, inherited ? Over::Upgrade : Over::Reload, state_->serving());
  for (const auto& listener : config->listeners)
    listener_load(listener.name, listener.pool).max_connections = listener.max_connections;
  state_->config = std::move(config);
  state_->recheck_resolved();
  state_->refresh(true);
  return report;
}

ApplyReport Registry::difference(const Config& next, Over over) const {
  return rehearsal(over)(next);
}

Registry::Rehearsal Registry::rehearsal(Over over) const {
  const std::shared_ptr<State> copy(new State(state_->rehearsal()));
  // Of those who have left already only who stands in is handed on.
  if (over == Over::Upgrade) copy->leavers.keep_stand_ins_only();
  return
      [copy, over, before = state_->serving()](const Config& next) { return copy->take(next, over, before); };
}

Registry::State Registry::State::rehearsal() const {
  State out(workers, nullptr, clock, host, nullptr);
  out.config = config;
  out.members = members;
  out.leavers = leavers;
  out.words = words;
  out.pool_loads = pool_loads;
  out.last_id = last_id;
  out.last_life = last_life;
  return out;
}

Config Registry::State::with_added(const Config& next) const {
  Config out = next;
  for (auto& pool : out.pools) {
    const PoolEntry* const before = members.find_pool(pool.name);
    if (before == nullptr) continue;
    const auto is_known = [&](const std::string& name) {
      return std::ranges::any_of(before->entries,
                                 [&](const Entry& entry) { return entry.file.name == name; });
    };
    for (const auto& entry : before->entries) {
      if (!entry.added || entry.out) continue;
      // A new backend of its address is itself, under another name; one that stood beside it still does.
      const bool taken = std::ranges::any_of(pool.backends, [&](const BackendConfig& one) {
        return one.name == entry.file.name || (one.endpoint == entry.file.endpoint && !is_known(one.name));
      });
      if (!taken) pool.backends.push_back(entry.file);
    }
  }
  return out;
}

ApplyReport Registry::State::take(const Config& file, Over over, const Serving& before) {
  Config with_more;
  if (over == Over::Upgrade) with_more = with_added(file);
  const Config& next = over == Over::Upgrade ? with_more : file;
  ApplyReport report = compare(next, over);
  const HealthBook book = health_book();
  auto old = std::exchange(members.pools, {});
  const auto old_pools = by_name(old, [](const PoolEntry& pool) { return pool.config.name; });
  for (const auto& pool : next.pools) apply_pool(pool, found_in(old_pools, pool.name), book, over);
  for (auto& pool : old)
    for (auto& entry : pool.entries) leave(pool, entry);
  words.drop_orphans(next);
  for (const auto& pool : file.pools)
    if (PoolEntry* const own = members.find_pool(pool.name))
      for (std::size_t i = 0; i < pool.backends.size(); ++i) own->entries[i].added = false;
  for (auto& pool : members.pools) choose_stand_ins(pool, before, config.get(), next);
  leavers.tidy(all_stand_ins(), clock.steady());
  for (const auto& pool : members.pools) note_service(pool, before, report);
  return report;
}

void Registry::State::apply_pool(const PoolConfig& next, PoolEntry* old, const HealthBook& book, Over over) {
  std::unordered_map<std::string, Entry*> old_entries;
  if (old != nullptr) old_entries = by_name(old->entries, [](const Entry& entry) { return entry.file.name; });
  PoolEntry pool;
  pool.config = next;
  pool.load = pool_load(next.name);
  if (old != nullptr) {
    pool.built = old->built;
    pool.verdict = old->verdict;
    pool.verdict_since = old->verdict_since;
  }
  pool.entries.reserve(next.backends.size());
  for (const auto& backend : next.backends)
    pool.entries.push_back(
        apply_backend(pool, old, found_in(old_entries, backend.name), backend, book, over));
  if (old != nullptr) {
    for (auto& entry : old->entries)
      if (entry.load != nullptr) leave(*old, entry);
    old->entries.clear();
  }
  members.pools.push_back(std::move(pool));
}

Entry Registry::State::apply_backend(PoolEntry& pool, PoolEntry* old, Entry* before,
                                     const BackendConfig& file, const HealthBook& book, Over over) {
  const Admin admin_before = before != nullptr ? admin(*old, *before) : Admin::Enabled;
  // The word on the old address goes with it.
  if (before != nullptr && before->file.endpoint != file.endpoint) {
    leave(*old, *before);
    before->load.reset();
    before = nullptr;
  }
  const bool word_dropped = words.settle(pool.config.name, file);
  if (before == nullptr) return make_entry(pool, file, book);
  Entry entry = std::move(*before);
  before->load.reset();
  const bool was_probed = old->probes(entry);
  if (entry.file.admin != file.admin || word_dropped) entry.admin_since = clock.system();
  entry.file = file;
  if (!pool.has_agent(entry)) entry.agent = {};
  const bool was_out = over == Over::Reload && std::exchange(entry.out, false);
  const bool maintenance_changed =
      (admin_before == Admin::Disabled) != (admin(pool, entry) == Admin::Disabled);
  const bool no_longer_probed = was_probed && !pool.probes(entry);
  if (maintenance_changed) entry.standing.recovering = true;
  if (was_out || maintenance_changed || no_longer_probed) forget_health(pool, entry);
  return entry;
}

void Registry::State::note_service(const PoolEntry& pool, const Serving& before, ApplyReport& report) {
  const auto& name = pool.config.name;
  std::string words_against;
  bool awaited = false;  // somebody, of whom a verdict can come
  for (const auto& entry : pool.entries) {
    if (entry.out) continue;
    const Admin said = admin(pool, entry);
    if (said == Admin::Enabled && entry.standing.serves()) return;
    awaited = awaited || entry.standing.no_address.empty();
    words_against += fmt::format("{}{} is {}", words_against.empty() ? "" : ", ", entry.file.name,
                                 said != Admin::Enabled ? to_string(said) : to_string(entry.standing.health));
  }
  const bool waits = awaited && wants_stand_ins(pool);
  if (!pool.stand_ins.empty()) {
    std::string names;
    for (const auto& backend : stand_ins(pool))
      names += (names.empty() ? "" : ", ") + format_key(backend.load->pool, backend.name);
    report.notes.push_back(
        fmt::format("pool {} has no eligible backend until first probes pass: {} stand in", name, names));
    return;
  }
  if (config == nullptr && waits) return;  // a start, as any
  const auto served = before.find(name);
  const bool was_served = served != before.end() && !served->second.empty();
  if (served != before.end() && !was_served) return;  // it had nobody before
  if (waits) {
    report.notes.push_back(
        fmt::format("pool {} has no eligible backend until first probes pass, and nobody stands in", name));
    return;
  }
  report.notes.push_back(fmt::format("pool {} has nobody: {}", name, words_against));
  report.bereft.push_back(name);
}

}  // namespace weir
