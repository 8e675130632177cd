#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "lb/balance/hedge_budget.h"

namespace weir {

/// Who wants to know that there is room in a pool again.
class RoomWatcher {
 public:
  /// Any thread, in the middle of a session's end: must not block.
  virtual void on_room(std::uint32_t pool_id) = 0;

 protected:
  ~RoomWatcher() = default;
};

/// The queue of one pool, as all workers and all versions of the pool share it: how many sessions wait until
/// a backend has room, and who serves them. Who stands in it, and in which order, is the WaitList's affair.
/// Thread-safe.
class PoolLoad {
 public:
  PoolLoad(std::uint32_t own_id, std::string own_name) : id(own_id), name(std::move(own_name)) {}

  const std::uint32_t id;  ///< unique for the life of the process; never 0
  const std::string name;

  std::uint32_t queued() const { return queued_.load(std::memory_order_seq_cst); }
  /// Somebody waits for whom any backend will do: newcomers stand behind them.
  bool newcomers_wait() const { return for_any_.load(std::memory_order_seq_cst) > 0; }

  enum class Joined : std::uint8_t {
    No,  ///< as many wait as may
    Yes,
    AsFirst  ///< what has become free before it was counted may have called nobody: it looks once more
  };
  /// One session more waits, unless `limit` do. `particular`: some backends will not do for it, so that it
  /// holds no newcomer back.
  Joined join(std::uint32_t limit, bool particular, RoomWatcher& watcher) {
    watcher_.store(&watcher, std::memory_order_relaxed);
    std::uint32_t now = queued();
    do {
      if (now >= limit) return Joined::No;
    } while (!queued_.compare_exchange_weak(now, now + 1, std::memory_order_seq_cst));
    if (particular) return now == 0 ? Joined::AsFirst : Joined::Yes;
    return for_any_.fetch_add(1, std::memory_order_seq_cst) == 0 ? Joined::AsFirst : Joined::Yes;
  }
  void leave(bool particular) {
    if (!particular) for_any_.fetch_sub(1, std::memory_order_seq_cst);
    queued_.fetch_sub(1, std::memory_order_seq_cst);
  }

  /// A backend has room, perhaps: after it has been given back.
  void room() {
    if (queued() > 0) watcher_.load(std::memory_order_relaxed)->on_room(id);
  }

  /// Sessions turned away, since the queue was full or their wait too long.
  std::atomic<std::uint64_t> overloaded{0};

  /// Of pools with hedge_after.
  HedgeBudget hedge_budget;
  std::atomic<std::uint64_t> hedged{0};      ///< connects that got a second one beside them
  std::atomic<std::uint64_t> hedges_won{0};  ///< of these, where the second one was accepted first

 private:
  alignas(64) std::atomic<std::uint32_t> queued_{0};
  std::atomic<std::uint32_t> for_any_{0};  ///< of them
  std::atomic<RoomWatcher*> watcher_{nullptr};
};

}  // namespace weir
