#include "lb/control/members.h"

#include <algorithm>

namespace weir {

const PoolEntry* Members::find_pool(std::string_view name) const {
  const auto found = std::find_if(pools.begin(), pools.end(), [&](auto& p) { return p.config.name == name; });
  return found != pools.end() ? &*found : nullptr;
}

PoolEntry* Members::find_pool(std::string_view name) {
  const auto found = std::find_if(pools.begin(), pools.end(), [&](auto& p) { return p.config.name == name; });
  return found != pools.end() ? &*found : nullptr;
}

std::optional<Members::Place> Members::find(BackendId id) {
  const auto is_there = [&](const Entry& entry) { return entry.load->id == id && !entry.out; };
  if (const auto seen = last_seen_.find(id); seen != last_seen_.end()) {
    const auto [pool, entry] = seen->second;
    if (pool < pools.size() && entry < pools[pool].entries.size() && is_there(pools[pool].entries[entry]))
      return Place{&pools[pool], &pools[pool].entries[entry]};
  }
  for (auto& pool : pools) {
    const auto found = std::ranges::find_if(pool.entries, is_there);
    if (found == pool.entries.end()) continue;
    last_seen_.clear();
    for (std::size_t p = 0; p < pools.size(); ++p)
      for (std::size_t e = 0; e < pools[p].entries.size(); ++e)
        last_seen_[pools[p].entries[e].load->id] = {p, e};
    return Place{&pool, &*found};
  }
  return std::nullopt;
}

std::unordered_map<BackendId, Members::Place> Members::by_id() {
  std::unordered_map<BackendId, Place> out;
  for (auto& pool : pools)
    for (auto& entry : pool.entries)
      if (!entry.out) out.emplace(entry.load->id, Place{&pool, &entry});
  return out;
}

}  // namespace weir
