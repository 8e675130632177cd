// Taking a configuration by difference.
#include <fmt/format.h>

#include <algorithm>

#include "lb/control/registry_state.h"

namespace weir {

namespace {

template <class T>
T* find_named(std::vector<T>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const T& one) { return one.name == name; });
  return found != all.end() ? &*found : nullptr;
}

Entry* find_entry_named(PoolEntry* pool, std::string_view name) {
  if (pool == nullptr) return nullptr;
  const auto found = std::find_if(pool->entries.begin(), pool->entries.end(),
                                  [&](const Entry& entry) { return entry.file.name == name; });
  return found != pool->entries.end() ? &*found : nullptr;
}

std::string changed_keys(const PoolConfig& a, const PoolConfig& b) {
  std::string out;
  const auto add = [&](bool changed, std::string_view key) {
    if (changed) out += fmt::format("{}{}", out.empty() ? "" : ", ", key);
  };
  add(a.balance != b.balance, "balance");
  add(a.connect_timeout != b.connect_timeout, "connect_timeout");
  add(a.connect_attempts != b.connect_attempts, "connect_attempts");
  add(a.idle_timeout != b.idle_timeout, "idle_timeout");
  add(a.half_close_timeout != b.half_close_timeout, "half_close_timeout");
  add(a.on_all_down != b.on_all_down, "on_all_down");
  add(a.on_backend_down != b.on_backend_down, "on_backend_down");
  add(a.slow_start != b.slow_start, "slow_start");
  add(a.probe != b.probe, "health");
  return out;
}

std::string changed_values(const BackendConfig& a, const BackendConfig& b) {
  std::string out;
  if (a.weight != b.weight) out += fmt::format(" weight {}→{}", a.weight, b.weight);
  if (a.admin != b.admin) out += fmt::format(" admin {}→{}", to_string(a.admin), to_string(b.admin));
  if (a.backup != b.backup) out += fmt::format(" backup {}→{}", a.backup, b.backup);
  return out;
}

}  // namespace

ApplyReport Registry::apply(std::shared_ptr<const Config> config) {
  ApplyReport report;
  const bool first = state_->config == nullptr;
  auto old = std::exchange(state_->pools, {});
  state_->drop_orphans(*config, report);
  for (const auto& pool : config->pools) state_->apply_pool(pool, old, report);
  for (auto& pool : old) {
    if (pool.config.name.empty()) continue;  // moved on
    report.changes.push_back(fmt::format("- pool {}", pool.config.name));
    for (auto& entry : pool.entries) state_->dismiss(pool, entry, report);
  }
  for (const auto& listener : config->listeners)
    listener_load(listener.name, listener.pool).max_connections = listener.max_connections;
  state_->apply_listeners(*config, report);
  state_->config = std::move(config);
  if (first) report.changes.clear();
  state_->refresh(true);
  return report;
}

void Registry::State::apply_pool(const PoolConfig& next, std::vector<PoolEntry>& old_pools,
                                 ApplyReport& report) {
  const auto found = std::find_if(old_pools.begin(), old_pools.end(),
                                  [&](const PoolEntry& pool) { return pool.config.name == next.name; });
  PoolEntry* old = found != old_pools.end() ? &*found : nullptr;
  PoolEntry pool;
  pool.config = next;
  if (old == nullptr) {
    report.changes.push_back(fmt::format("+ pool {}", next.name));
  } else {
    pool.built = old->built;
    if (const auto keys = changed_keys(old->config, next); !keys.empty())
      report.changes.push_back(fmt::format("~ pool {}: {}", next.name, keys));
  }
  pool.entries.reserve(next.backends.size());
  for (const auto& backend : next.backends) pool.entries.push_back(apply_backend(pool, old, backend, report));
  if (old != nullptr) {
    for (auto& entry : old->entries)
      if (entry.load != nullptr) dismiss(*old, entry, report);
    old->config.name.clear();
  }
  pools.push_back(std::move(pool));
}

Entry Registry::State::apply_backend(PoolEntry& pool, PoolEntry* old, const BackendConfig& file,
                                     ApplyReport& report) {
  const auto key = format_key(pool.config.name, file.name);
  Entry* before = find_entry_named(old, file.name);
  const Admin admin_before = before != nullptr ? admin(*old, *before) : Admin::Enabled;
  settle_override(pool.config.name, file, report);
  if (before == nullptr) {
    report.changes.push_back("+ " + key);
    return make_entry(pool, file);
  }
  if (before->file.endpoint != file.endpoint) {
    report.changes.push_back(
        fmt::format("~ {} address {}→{}", key, before->file.endpoint.text, file.endpoint.text));
    leave(*old, *before);
    before->load.reset();
    return make_entry(pool, file);
  }
  Entry entry = std::move(*before);
  before->load.reset();
  if (const auto values = changed_values(entry.file, file); !values.empty())
    report.changes.push_back(fmt::format("~ {}{}", key, values));
  if (entry.out) report.notes.push_back(key + " is back: it was removed at run time, until this reload");
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

void Registry::State::dismiss(const PoolEntry& pool, Entry& entry, ApplyReport& report) {
  const auto key = format_key(pool.config.name, entry.file.name);
  const auto sessions = entry.load->active.load();
  if (entry.added && !entry.out)
    report.notes.push_back(key + " is gone: it was added at run time, until this reload");
  if (!entry.out)
    report.changes.push_back(sessions == 0 ? "- " + key
                                           : fmt::format("- {} ({} sessions go on)", key, sessions));
  overrides.erase({pool.config.name, entry.file.name});
  leave(pool, entry);
}

void Registry::State::apply_listeners(const Config& next, ApplyReport& report) {
  if (config == nullptr) return;
  auto old = config->listeners;
  for (const auto& listener : next.listeners) {
    const auto* before = find_named(old, listener.name);
    if (before == nullptr)
      report.changes.push_back("+ listener " + listener.name);
    else if (*before != listener)
      report.changes.push_back("~ listener " + listener.name);
  }
  auto wanted = next.listeners;
  for (const auto& listener : old)
    if (find_named(wanted, listener.name) == nullptr) report.changes.push_back("- listener " + listener.name);
}

void Registry::State::settle_override(const std::string& pool, const BackendConfig& file,
                                      ApplyReport& report) {
  const auto found = overrides.find({pool, file.name});
  if (found == overrides.end()) return;
  auto& said = found->second;
  const auto key = format_key(pool, file.name);
  const bool moved = said.file_address != file.endpoint.text;
  if (said.admin && (moved || said.file_admin != file.admin)) {
    report.notes.push_back(fmt::format("{}: \"{}\" by an operator is dropped, its {} was edited in the file",
                                       key, to_string(*said.admin), moved ? "address" : "admin"));
    said.admin.reset();
  }
  if (said.weight && (moved || said.file_weight != file.weight)) {
    report.notes.push_back(
        fmt::format("{}: weight {} by an operator is dropped, its {} was edited in the file", key,
                    *said.weight, moved ? "address" : "weight"));
    said.weight.reset();
  }
  if (!said.admin && !said.weight) {
    overrides.erase(found);
    return;
  }
  said.file_admin = file.admin;
  said.file_weight = file.weight;
}

void Registry::State::drop_orphans(const Config& next, ApplyReport& report) {
  std::erase_if(overrides, [&](const auto& item) {
    const auto* pool = next.find_pool(item.first.first);
    const bool known = pool != nullptr && std::any_of(pool->backends.begin(), pool->backends.end(),
                                                      [&](auto& b) { return b.name == item.first.second; });
    if (!known)
      report.notes.push_back(format_key(item.first.first, item.first.second) +
                             ": what an operator said of it is dropped, it is no longer in the file");
    return !known;
  });
}

}  // namespace weir
