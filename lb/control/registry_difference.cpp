// What a configuration changes, before it does: the only place that knows.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "lb/base/counted.h"
#include "lb/base/log.h"
#include "lb/control/config_difference.h"
#include "lb/control/registry_state.h"

namespace weir {

namespace {

template <class T>
const T* find_named(const std::vector<T>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const T& one) { return one.name == name; });
  return found != all.end() ? &*found : nullptr;
}

void compare_listeners(const Config& now, const Config& next, ApplyReport& report) {
  for (const auto& listener : next.listeners) {
    const auto* before = find_named(now.listeners, listener.name);
    if (before == nullptr)
      report.changes.push_back("+ listener " + listener.name);
    else if (*before != listener)
      report.changes.push_back(
          fmt::format("~ listener {}{}", listener.name, difference_of(*before, listener)));
  }
  for (const auto& listener : now.listeners)
    if (find_named(next.listeners, listener.name) == nullptr)
      report.changes.push_back("- listener " + listener.name);
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
  for (const auto& difference : global_differences(*config, next))
    report.changes.push_back("~ " + difference);
  return report;
}

void Registry::State::compare_pool(const PoolEntry* before, const PoolConfig& next, Over over,
                                   ApplyReport& report) const {
  std::unordered_map<std::string_view, const Entry*> entries;
  if (before == nullptr) {
    report.changes.push_back(fmt::format("+ pool {}", next.name));
  } else {
    if (const auto keys = difference_of(before->config, next); !keys.empty())
      report.changes.push_back(fmt::format("~ pool {}{}", next.name, keys));
    for (const auto& entry : before->entries) entries.emplace(entry.file.name, &entry);
  }
  std::unordered_set<std::string_view> stay;
  for (const auto& backend : next.backends) {
    const auto found = entries.find(backend.name);
    compare_backend(before, next, found != entries.end() ? found->second : nullptr, backend, over, report);
    stay.insert(backend.name);
  }
  if (before == nullptr) return;
  for (const auto& entry : before->entries)
    if (!stay.contains(entry.file.name)) note_leaving(*before, entry, report);
}

void Registry::State::compare_backend(const PoolEntry* pool, const PoolConfig& next, const Entry* before,
                                      const BackendConfig& file, Over over, ApplyReport& report) const {
  const auto key = format_key(next.name, file.name);
  if (const Override* const word = words.find(next.name, file.name); word != nullptr) {
    const Override& said = *word;
    const Override left = settled(said, file);
    const bool moved = said.file_address != file.endpoint.text;
    if (said.admin && !left.admin)
      report.notes.push_back(
          fmt::format("{}: \"{}\" by an operator is dropped, its {} was edited in the file", key,
                      to_string(said.admin->value), moved ? "address" : "admin"));
    if (said.weight && !left.weight)
      report.notes.push_back(
          fmt::format("{}: weight {} by an operator is dropped, its {} was edited in the file", key,
                      said.weight->value, moved ? "address" : "weight"));
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
  if (const auto values = difference_of(before->file, pool->config, file, next); !values.empty())
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
                                         : fmt::format("- {} ({})", key, sessions_go_on(sessions)));
}

}  // namespace weir
