#include "lb/control/listener_loads.h"

namespace weir {

std::uint64_t total_of(const ListenerLoad& load) {
  std::uint64_t total = load.elsewhere.value.load(std::memory_order_relaxed);
  for (const auto& worker : load.accepted) total += worker.value.load(std::memory_order_relaxed);
  return total;
}

ListenerLoad& ListenerLoads::get(std::string_view listener, std::string_view pool) {
  auto& slot = loads_[{std::string(listener), std::string(pool)}];
  if (!slot) slot = std::make_shared<ListenerLoad>(std::string(listener), std::string(pool), workers_);
  return *slot;
}

std::unordered_map<std::string_view, ListenerLoads::Sum> ListenerLoads::sums() const {
  std::unordered_map<std::string_view, Sum> out;
  for (const auto& [key, load] : loads_) {
    Sum& sum = out[key.first];
    sum.active += load->active.load(std::memory_order_relaxed);
    sum.total += total_of(*load);
    for (std::size_t end = 0; end < kEnds; ++end)
      sum.turned_away[end] += load->turned_away_as(static_cast<End>(end));
  }
  return out;
}

ListenerLoads::Sum ListenerLoads::sum() const {
  Sum out;
  for (const auto& [key, load] : loads_) {
    out.active += load->active.load(std::memory_order_relaxed);
    out.total += total_of(*load);
  }
  return out;
}

}  // namespace weir
