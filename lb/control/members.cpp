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
  for (auto& pool : pools)
    for (auto& entry : pool.entries)
      if (entry.load->id == id && !entry.out) return Place{&pool, &entry};
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
