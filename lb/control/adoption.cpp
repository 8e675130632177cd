#include "lb/control/adoption.h"

#include <algorithm>
#include <utility>

namespace weir {

void Adoption::adopted(std::uint32_t worker, std::uint64_t generation) {
  auto& known = adopted_.at(worker);
  known = std::max(known, generation);
  const auto reached = everywhere();
  const auto split = std::stable_partition(waiting_.begin(), waiting_.end(),
                                           [&](const Waiting& one) { return one.generation > reached; });
  // A callback may ask for the next generation: it must not find this list half walked.
  std::vector<Waiting> due(std::make_move_iterator(split), std::make_move_iterator(waiting_.end()));
  waiting_.erase(split, waiting_.end());
  for (auto& one : due) one.done();
}

void Adoption::when(std::uint64_t generation, std::function<void()> done) {
  if (everywhere() >= generation)
    done();
  else
    waiting_.push_back({generation, std::move(done)});
}

std::uint64_t Adoption::everywhere() const {
  return adopted_.empty() ? UINT64_MAX : *std::min_element(adopted_.begin(), adopted_.end());
}

}  // namespace weir
