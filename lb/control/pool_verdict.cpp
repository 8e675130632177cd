#include "lb/control/pool_verdict.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir {

namespace {

/// Serves because it is well.
bool is_well(const Backend& backend) {
  return backend.eligible() && !backend.used_although_down && !backend.last_resort;
}

}  // namespace

std::optional<PoolVerdict> verdict_named(std::string_view name) {
  for (const auto verdict : {PoolVerdict::Unknown, PoolVerdict::Ok, PoolVerdict::Degraded,
                             PoolVerdict::BackupInUse, PoolVerdict::Down})
    if (to_string(verdict) == name) return verdict;
  return std::nullopt;
}

PoolVerdict verdict_of(const Pool& pool) {
  const auto& all = pool.backends();
  const auto any = [&](auto wanted) { return std::ranges::any_of(all, wanted); };
  const bool primaries =
      any([](const Backend& backend) { return is_well(backend) && !backend.backup && !backend.stand_in; });
  if (primaries) {
    const bool missing = any([](const Backend& backend) {
      return backend.admin == Admin::Enabled && !backend.backup && !backend.stand_in && !is_well(backend);
    });
    return missing ? PoolVerdict::Degraded : PoolVerdict::Ok;
  }
  if (any([](const Backend& backend) { return is_well(backend) && backend.stand_in; }))
    return PoolVerdict::Degraded;
  if (any(is_well)) {
    // Of a pool that has nothing but backups none is a substitute.
    const bool substitute = any([](const Backend& backend) { return !backend.backup && !backend.stand_in; });
    return substitute ? PoolVerdict::BackupInUse : PoolVerdict::Ok;
  }
  return any([](const Backend& backend) { return backend.undecided; }) ? PoolVerdict::Unknown
                                                                       : PoolVerdict::Down;
}

std::string count_of_up(const Pool& pool) {
  std::size_t up = 0, all = 0, drained = 0, disabled = 0, by_agent = 0;
  for (const Backend& backend : pool.backends()) {
    if (backend.stand_in) continue;
    ++all;
    up += is_well(backend) ? 1 : 0;
    drained += backend.admin == Admin::Drained ? 1 : 0;
    disabled += backend.admin == Admin::Disabled ? 1 : 0;
    by_agent += backend.admin == Admin::Enabled && backend.agent_out ? 1 : 0;
  }
  std::string out = fmt::format("{} of {} up", up, all);
  if (drained > 0) out += fmt::format(", {} drained", drained);
  if (disabled > 0) out += fmt::format(", {} disabled", disabled);
  if (by_agent > 0)
    out += fmt::format(", {} out by {} agent{}", by_agent, by_agent == 1 ? "its" : "their",
                       by_agent == 1 ? "" : "s");
  return out;
}

}  // namespace weir
