#include "lb/control/drain_closer.h"

#include <algorithm>

namespace weir {

void DrainCloser::schedule(std::shared_ptr<const BackendLoad> backend, Time begin, Millis spread) {
  cancel(backend->id);
  plans_.push_back({std::move(backend), begin, spread, begin, std::nullopt, 0});
}

void DrainCloser::cancel(BackendId backend) {
  std::erase_if(plans_, [&](const Plan& plan) { return plan.backend->id == backend; });
}

void DrainCloser::cancel_enabled(const Table& table) {
  if (plans_.empty()) return;
  for (const auto& pool : table.pools)
    for (const Backend& backend : pool->backends())
      if (backend.admin == Admin::Enabled) cancel(backend.id());
}

std::optional<DrainCloser::Time> DrainCloser::planned(BackendId backend) const {
  const auto found = std::find_if(plans_.begin(), plans_.end(),
                                  [&](const Plan& plan) { return plan.backend->id == backend; });
  return found != plans_.end() ? std::optional(found->begin) : std::nullopt;
}

void DrainCloser::tick(Time now) {
  std::erase_if(plans_, [&](Plan& plan) { return now >= plan.next && !advance(plan, now); });
}

bool DrainCloser::advance(Plan& plan, Time now) {
  const std::uint64_t active = plan.backend->active.load(std::memory_order_relaxed);
  if (active == 0) return false;
  if (!plan.sessions) plan.sessions = active;
  const auto elapsed = std::chrono::duration_cast<Millis>(now - plan.begin);
  if (elapsed >= plan.spread) {
    // Everything that is left, again and again: a session may have been on its way to the backend a moment
    // ago.
    kill_(*plan.backend, active);
    plan.next = now + kAgain;
    return true;
  }
  // Those that ended by themselves count as closed.
  const auto share = static_cast<double>(elapsed.count()) / static_cast<double>(plan.spread.count());
  const auto goal = static_cast<std::uint64_t>(static_cast<double>(*plan.sessions) * share);
  const auto gone = std::max(plan.asked, *plan.sessions - std::min(active, *plan.sessions));
  if (goal > gone) {
    kill_(*plan.backend, goal - gone);
    plan.asked = goal;
  }
  plan.next = std::min(now + kStep, plan.begin + plan.spread);
  return true;
}

std::optional<Millis> DrainCloser::next_step(Time now) const {
  std::optional<Millis> soonest;
  for (const auto& plan : plans_) {
    const auto due = std::chrono::ceil<Millis>(std::max(plan.next, now) - now);
    soonest = std::min(soonest.value_or(due), due);
  }
  return soonest;
}

}  // namespace weir
