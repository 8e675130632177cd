#include "lb/control/departed.h"

#include <algorithm>

#include "lb/control/registry_state.h"

namespace weir {

void Departed::add(std::shared_ptr<BackendLoad> load, TimePoint now) {
  const BackendId id = load->id;
  each_.insert_or_assign(id, One{std::move(load), now});
}

void Departed::fold(std::map<BackendId, One>::iterator one) {
  const BackendLoad& load = *one->second.load;
  rest_[load.pool] += Counted{totals_of(load), tally_of(load)};
  each_.erase(one);
}

void Departed::tidy(TimePoint now) {
  for (auto one = each_.begin(); one != each_.end();) {
    const auto next = std::next(one);
    if (one->second.load->active.load(std::memory_order_relaxed) > 0)
      one->second.idle_since = now;
    else if (now - one->second.idle_since >= kKept)
      fold(one);
    one = next;
  }
  while (each_.size() > kMost) {
    const auto longest =
        std::ranges::min_element(each_, {}, [](const auto& item) { return item.second.idle_since; });
    if (longest->second.load->active.load(std::memory_order_relaxed) > 0) return;  // all of them serve
    fold(longest);
  }
}

}  // namespace weir
