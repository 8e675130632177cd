#include "lb/control/drain_watch.h"

#include <algorithm>

namespace weir {

DrainWatch::DrainWatch(Loop& loop, const Registry& registry)
    : registry_(registry), timer_(loop, [this] {
        waiting_.remove_if([this](const Waiting& one) { return look(one); });
        if (!waiting_.empty()) timer_.start(kLookEvery);
      }) {}

void DrainWatch::wait(std::string target, Millis at_most, Done done) {
  Waiting one{std::move(target), std::chrono::steady_clock::now() + at_most, std::move(done)};
  if (look(one)) return;
  waiting_.push_back(std::move(one));
  if (!timer_.active()) timer_.start(kLookEvery);
}

bool DrainWatch::look(const Waiting& waiting) {
  const auto found = registry_.drains(waiting.target);
  if (found) {
    const bool over = std::ranges::all_of(found->left.backends,
                                          [](const Changed& one) { return one.load->active.load() == 0; });
    if (!over && std::chrono::steady_clock::now() < waiting.until) return false;
  }
  waiting.done(found);
  return true;
}

}  // namespace weir
