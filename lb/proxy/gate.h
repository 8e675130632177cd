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
  enum class Entry : std::uint8_t {
    Counted,
    Full,
    GaveBack  ///< the listener's last place went to another: see who waited for the process's, take_waiting()
  };

  explicit Gate(std::uint64_t max_sessions) : max_(max_sessions) {}

  /// Counts a session in, before its accept, unless a limit is reached. No count ever shows a place as taken
  /// that no session gets, but for GaveBack: several that fail at once would take each other for sessions and
  /// wait for an end that never comes.
  Entry enter(ListenerLoad& listener) {
    const std::uint64_t limit = listener.max_connections.load(std::memory_order_relaxed);
    if (limit != 0 && listener.active.load() >= limit) return Entry::Full;
    if (!take(active_, max_.load(std::memory_order_relaxed))) return Entry::Full;
    if (take(listener.active, limit == 0 ? UINT64_MAX : limit)) return Entry::Counted;
    active_.fetch_sub(1);
    return Entry::GaveBack;
  }
  /// Counts in a session that must be served whatever the limits say.
  void enter_beyond_limits(ListenerLoad& listener) {
    active_.fetch_add(1);
    listener.active.fetch_add(1);
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
  static bool take(std::atomic<std::uint64_t>& count, std::uint64_t limit) {
    std::uint64_t seen = count.load();
    while (seen < limit)
      if (count.compare_exchange_weak(seen, seen + 1)) return true;
    return false;
  }

  alignas(64) std::atomic<std::uint64_t> active_{0};
  alignas(64) std::atomic<std::uint64_t> max_;
  std::atomic<bool> waiting_{false};
};

}  // namespace weir
