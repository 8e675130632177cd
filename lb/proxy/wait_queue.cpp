#include "lb/proxy/wait_queue.h"

#include <algorithm>

namespace weir {

void WaitQueue::add(WaitKey key, Waiter waiter, std::uint64_t now_ms) {
  const auto [at, fresh] = queues_.try_emplace(key);
  at->second.waiters.insert(waiter);
  if (fresh) at->second.due_ms = now_ms + kFirstPauseMs;
}

void WaitQueue::withdraw(WaitKey key, const Waiter& waiter) {
  const auto found = queues_.find(key);
  if (found == queues_.end()) return;
  found->second.waiters.erase(waiter);
  drop_if_idle(key);
}

void WaitQueue::wake(WaitKey key, std::uint64_t now_ms) {
  const auto found = queues_.find(key);
  if (found == queues_.end()) return;
  found->second.due_ms = now_ms;
  found->second.woken = true;
}

void WaitQueue::succeeded(WaitKey key, std::uint64_t now_ms) {
  const auto found = queues_.find(key);
  if (found == queues_.end()) return;
  found->second.calling = false;
  found->second.passed_on.reset();
  found->second.pause_ms = kFirstPauseMs;
  found->second.due_ms = now_ms;
  drop_if_idle(key);
}

void WaitQueue::failed(WaitKey key, const Waiter& waiter, bool particular, std::uint64_t now_ms) {
  Queue& queue = queues_[key];
  queue.waiters.insert(waiter);
  queue.calling = false;
  queue.passed_on.reset();
  if (particular && !queue.woken && waiter != *queue.waiters.rbegin()) {
    queue.passed_on = waiter;
    queue.due_ms = now_ms;
    return;
  }
  queue.due_ms = queue.woken ? now_ms : now_ms + queue.pause_ms;
  queue.pause_ms = std::min(queue.pause_ms * 2, kLongestPauseMs);
}

std::optional<WaitQueue::Call> WaitQueue::next(std::uint64_t now_ms) {
  for (auto& [key, queue] : queues_) {
    if (queue.calling || queue.waiters.empty() || queue.due_ms > now_ms) continue;
    queue.calling = true;
    // In the middle of a round it is still to be given to the first.
    if (!queue.passed_on) queue.woken = false;
    auto first = queue.passed_on ? queue.waiters.upper_bound(*queue.passed_on) : queue.waiters.begin();
    // Those after it have gone meanwhile.
    if (first == queue.waiters.end()) first = queue.waiters.begin();
    const Call call{key, *first};
    queue.waiters.erase(first);
    return call;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> WaitQueue::due_ms() const {
  std::optional<std::uint64_t> soonest;
  for (const auto& [key, queue] : queues_)
    if (!queue.calling && !queue.waiters.empty())
      soonest = std::min(soonest.value_or(queue.due_ms), queue.due_ms);
  return soonest;
}

void WaitQueue::drop_if_idle(WaitKey key) {
  const auto found = queues_.find(key);
  if (!found->second.calling && found->second.waiters.empty()) queues_.erase(found);
}

}  // namespace weir
