#pragma once

#include <atomic>
#include <cstdint>

#include "lb/balance/listener_load.h"

namespace weir {

/// The limits on sessions at once: the process's and each listener's. Shared by all workers; lock-free.
///
/// A worker that finds a limit reached pauses its listeners, says so with wait(), tries once more, and is
/// woken by whichever worker ends a session next.
class Gate {
 public:
  explicit Gate(std::uint64_t max_sessions) : max_(max_sessions) {}

  /// Counts a session in, before its accept. False: a limit is reached.
  bool enter(ListenerLoad& listener) {
    if (active_.fetch_add(1) >= max_.load(std::memory_order_relaxed)) {
      active_.fetch_sub(1);
      return false;
    }
    const std::uint64_t limit = listener.max_connections.load(std::memory_order_relaxed);
    if (listener.active.fetch_add(1) >= limit && limit != 0) {
      leave(listener);
      return false;
    }
    return true;
  }
  void leave(ListenerLoad& listener) {
    listener.active.fetch_sub(1);
    active_.fetch_sub(1);
  }

  /// Announces a paused worker. Sequentially consistent with enter() and leave(): either the worker's next
  /// enter() sees the place that was freed, or whoever frees it sees the worker waiting.
  void wait() { waiting_.store(true); }
  /// Whether anybody waits; forgets it. The caller then wakes every worker.
  bool take_waiting() { return waiting_.load() && waiting_.exchange(false); }

  std::uint64_t active() const { return active_.load(std::memory_order_relaxed); }
  std::uint64_t max() const { return max_.load(std::memory_order_relaxed); }
  void set_max(std::uint64_t max_sessions) { max_.store(max_sessions); }

 private:
  alignas(64) std::atomic<std::uint64_t> active_{0};
  alignas(64) std::atomic<std::uint64_t> max_;
  std::atomic<bool> waiting_{false};
};

}  // namespace weir
