// What a configuration changes, before it does: the only place that knows.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "lb/base/log.h"
#include "lb/control/registry_state.h"

namespace weir {

namespace {

template <class T>
const T* find_named(const std::vector<T>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const T& one) { return one.name == name; });
  return found != all.end() ? &*found : nullptr;
}

/// The names that both have come in the same order.
bool same_order(const PoolConfig& a, const PoolConfig& b) {
  std::unordered_set<std::string_view> of_a, of_b;
  for (const auto& backend : a.backends) of_a.insert(backend.name);
  for (const auto& backend : b.backends) of_b.insert(backend.name);
  auto at = a.backends.begin();
  for (const auto& backend : b.backends) {
    if (!of_a.contains(backend.name)) continue;
    while (!of_b.contains(at->name)) ++at;
    if (at->name != backend.name) return false;
    ++at;
  }
  return true;
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
  add(!same_order(a, b), "the order of its backends");
  return out;
}

std::string changed_values(const BackendConfig& a, const BackendConfig& b) {
  std::string out;
  if (a.weight != b.weight) out += fmt::format(" weight {}→{}", a.weight, b.weight);
  if (a.admin != b.admin) out += fmt::format(" admin {}→{}", to_string(a.admin), to_string(b.admin));
  if (a.backup != b.backup) out += fmt::format(" backup {}→{}", a.backup, b.backup);
  return out;
}

std::string addresses_of(const ListenerConfig& listener) {
  std::string out;
  for (const Address& address : listener.bind) out += (out.empty() ? "" : ",") + address.to_string();
  return out;
}

std::string changed_values(const ListenerConfig& a, const ListenerConfig& b) {
  std::string out;
  if (a.bind != b.bind) out += fmt::format(" bind {}→{}", addresses_of(a), addresses_of(b));
  if (a.pool != b.pool) out += fmt::format(" pool {}→{}", a.pool, b.pool);
  if (a.max_connections != b.max_connections)
    out += fmt::format(" max_connections {}→{}", a.max_connections, b.max_connections);
  if (a.ready != b.ready) out += fmt::format(" ready {}→{}", a.ready, b.ready);
  return out;
}

void compare_listeners(const Config& now, const Config& next, ApplyReport& report) {
  for (const auto& listener : next.listeners) {
    const auto* before = find_named(now.listeners, listener.name);
    if (before == nullptr)
      report.changes.push_back("+ listener " + listener.name);
    else if (*before != listener)
      report.changes.push_back(
          fmt::format("~ listener {}{}", listener.name, changed_values(*before, listener)));
  }
  for (const auto& listener : now.listeners)
    if (find_named(next.listeners, listener.name) == nullptr)
      report.changes.push_back("- listener " + listener.name);
}

/// What stands outside of listeners and pools, and changes with a reload.
void compare_globals(const Config& now, const Config& next, ApplyReport& report) {
  const auto say = [&](std::string_view key, const std::string& from, const std::string& to) {
    if (from != to) report.changes.push_back(fmt::format("~ {} {}→{}", key, from, to));
  };
  const auto count = [](std::optional<std::uint64_t> most) {
    return most ? fmt::format("{}", *most) : "what the descriptors hold";
  };
  const auto level = [](const Config& config) {
    constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error"};
    return std::string(kLevels[static_cast<std::size_t>(config.log.level)]);
  };
  say("max_connections", count(now.max_connections), count(next.max_connections));
  say("shutdown_grace", format_duration(now.shutdown_grace), format_duration(next.shutdown_grace));
  say("state_file", quoted(now.state_file), quoted(next.state_file));
  say("log.level", level(now), level(next));
  say("log.access", quoted(now.log.access), quoted(next.log.access));
}

}  // namespace

ApplyReport Registry::State::compare(const Config& next, Over over) const {
  ApplyReport report;
  std::set<std::pair<std::string_view, std::string_view>> in_file;
  for (const auto& pool : next.pools)
    for (const auto& backend : pool.backends) in_file.emplace(pool.name, backend.name);
  for (const auto& [key, said] : words.all())
    if (!in_file.contains({key.first, key.second}))
      report.notes.push_back(format_key(key.first, key.second) +
                             ": what an operator said of it is dropped, it is no longer in the file");
  for (const auto& pool : next.pools) compare_pool(members.find_pool(pool.name), pool, over, report);
  for (const auto& pool : members.pools) {
    if (next.find_pool(pool.config.name) != nullptr) continue;
    report.changes.push_back(fmt::format("- pool {}", pool.config.name));
    for (const auto& entry : pool.entries) note_leaving(pool, entry, report);
  }
  if (config == nullptr) {
    report.changes.clear();  // a start, which changes nothing
    return report;
  }
  compare_listeners(*config, next, report);
  compare_globals(*config, next, report);
  return report;
}

void Registry::State::compare_pool(const PoolEntry* before, const PoolConfig& next, Over over,
                                   ApplyReport& report) const {
  std::unordered_map<std::string_view, const Entry*> entries;
  if (before == nullptr) {
    report.changes.push_back(fmt::format("+ pool {}", next.name));
  } else {
    if (const auto keys = changed_keys(before->config, next); !keys.empty())
      report.changes.push_back(fmt::format("~ pool {}: {}", next.name, keys));
    for (const auto& entry : before->entries) entries.emplace(entry.file.name, &entry);
  }
  std::unordered_set<std::string_view> stay;
  for (const auto& backend : next.backends) {
    const auto found = entries.find(backend.name);
    compare_backend(next.name, found != entries.end() ? found->second : nullptr, backend, over, report);
    stay.insert(backend.name);
  }
  if (before == nullptr) return;
  for (const auto& entry : before->entries)
    if (!stay.contains(entry.file.name)) note_leaving(*before, entry, report);
}

void Registry::State::compare_backend(const std::string& pool, const Entry* before, const BackendConfig& file,
                                      Over over, ApplyReport& report) const {
  const auto key = format_key(pool, file.name);
  if (const Override* const word = words.find(pool, file.name); word != nullptr) {
    const Override& said = *word;
    const Override left = settled(said, file);
    const bool moved = said.file_address != file.endpoint.text;
    if (said.admin && !left.admin)
      report.notes.push_back(
          fmt::format("{}: \"{}\" by an operator is dropped, its {} was edited in the file", key,
                      to_string(*said.admin), moved ? "address" : "admin"));
    if (said.weight && !left.weight)
      report.notes.push_back(
          fmt::format("{}: weight {} by an operator is dropped, its {} was edited in the file", key,
                      *said.weight, moved ? "address" : "weight"));
  }
  if (before == nullptr) {
    report.changes.push_back("+ " + key);
    return;
  }
  if (before->file.endpoint != file.endpoint) {
    report.changes.push_back(
        fmt::format("~ {} address {}→{}", key, before->file.endpoint.text, file.endpoint.text));
    return;
  }
  if (const auto values = changed_values(before->file, file); !values.empty())
    report.changes.push_back(fmt::format("~ {}{}", key, values));
  if (over == Over::Upgrade) return;
  if (before->out)
    report.notes.push_back(key + " is back: it was removed at run time, until this reload");
  else if (before->added)
    report.notes.push_back(key + " stays: it was added at run time, and is in the file now");
}

void Registry::State::note_leaving(const PoolEntry& pool, const Entry& entry, ApplyReport& report) const {
  if (entry.out) return;
  const auto key = format_key(pool.config.name, entry.file.name);
  const auto sessions = entry.load->active.load();
  if (entry.added) report.notes.push_back(key + " is gone: it was added at run time, until this reload");
  report.changes.push_back(sessions == 0 ? "- " + key
                                         : fmt::format("- {} ({} sessions go on)", key, sessions));
}

}  // namespace weir
