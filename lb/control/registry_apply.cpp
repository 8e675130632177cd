// Taking a configuration by difference.
#include <fmt/format.h>

#include <algorithm>

#include "lb/control/registry_state.h"

namespace weir {

namespace {

Entry* find_entry_named(PoolEntry* pool, std::string_view name) {
  if (pool == nullptr) return nullptr;
  const auto found = std::find_if(pool->entries.begin(), pool->entries.end(),
                                  [&](const Entry& entry) { return entry.file.name == name; });
  return found != pool->entries.end() ? &*found : nullptr;
}

}  // namespace

ApplyReport Registry::apply(std::shared_ptr<const Config> config) {
  ApplyReport report = state_->difference(*config);
  auto old = std::exchange(state_->pools, {});
  state_->drop_orphans(*config);
  for (const auto& pool : config->pools) state_->apply_pool(pool, old);
  for (auto& pool : old) {
    if (pool.config.name.empty()) continue;  // moved on
    for (auto& entry : pool.entries) state_->leave(pool, entry);
  }
  for (const auto& listener : config->listeners)
    listener_load(listener.name, listener.pool).max_connections = listener.max_connections;
  state_->config = std::move(config);
  state_->refresh(true);
  return report;
}

void Registry::State::apply_pool(const PoolConfig& next, std::vector<PoolEntry>& old_pools) {
  const auto found = std::find_if(old_pools.begin(), old_pools.end(),
                                  [&](const PoolEntry& pool) { return pool.config.name == next.name; });
  PoolEntry* old = found != old_pools.end() ? &*found : nullptr;
  PoolEntry pool;
  pool.config = next;
  if (old != nullptr) pool.built = old->built;
  pool.entries.reserve(next.backends.size());
  for (const auto& backend : next.backends) pool.entries.push_back(apply_backend(pool, old, backend));
  if (old != nullptr) {
    for (auto& entry : old->entries)
      if (entry.load != nullptr) leave(*old, entry);
    old->config.name.clear();
  }
  pools.push_back(std::move(pool));
}

Entry Registry::State::apply_backend(PoolEntry& pool, PoolEntry* old, const BackendConfig& file) {
  Entry* before = find_entry_named(old, file.name);
  const Admin admin_before = before != nullptr ? admin(*old, *before) : Admin::Enabled;
  const bool word_dropped = settle_override(pool.config.name, file);
  if (before == nullptr) return make_entry(pool, file);
  if (before->file.endpoint != file.endpoint) {
    leave(*old, *before);
    before->load.reset();
    return make_entry(pool, file);
  }
  Entry entry = std::move(*before);
  before->load.reset();
  if (entry.file.admin != file.admin || word_dropped) entry.admin_since = clock.system();
  entry.file = file;
  entry.added = false;
  const bool was_out = std::exchange(entry.out, false);
  const bool maintenance_changed =
      (admin_before == Admin::Disabled) != (admin(pool, entry) == Admin::Disabled);
  const bool no_longer_probed = old->config.probe.kind != "none" && pool.config.probe.kind == "none";
  if (maintenance_changed) entry.recovering = true;
  if (was_out || maintenance_changed || no_longer_probed) forget_health(pool, entry);
  return entry;
}

bool Registry::State::settle_override(const std::string& pool, const BackendConfig& file) {
  const auto found = overrides.find({pool, file.name});
  if (found == overrides.end()) return false;
  const bool had_admin = found->second.admin.has_value();
  found->second = settled(std::move(found->second), file);
  const bool has_admin = found->second.admin.has_value();
  if (!has_admin && !found->second.weight) overrides.erase(found);
  return had_admin && !has_admin;
}

void Registry::State::drop_orphans(const Config& next) {
  std::erase_if(overrides, [&](const auto& item) {
    const auto* pool = next.find_pool(item.first.first);
    return pool == nullptr || std::none_of(pool->backends.begin(), pool->backends.end(),
                                           [&](auto& b) { return b.name == item.first.second; });
  });
}

}  // namespace weir
