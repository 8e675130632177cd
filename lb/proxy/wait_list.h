#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "lb/balance/pool_load.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"
#include "lb/proxy/wait_queue.h"

namespace weir {

/// Sessions that cannot go on yet, of all workers: one WaitQueue, which lives on the first worker's loop, so
/// that first come, first served holds over all of them without a lock. Everything but the construction: any
/// thread; a message each, and only while somebody waits.
class WaitList final : public RoomWatcher {
 public:
  /// Lets that session try: on the owner's thread, to be passed on to the session's worker.
  using Summon = std::function<void(const WaitQueue::Call&)>;

  /// `owner` must not run yet.
  WaitList(Loop& owner, Summon summon);
  ~WaitList();
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;

  // As WaitQueue has them.

  void add(WaitKey key, Waiter waiter);
  void withdraw(WaitKey key, Waiter waiter);
  void wake(WaitKey key);
  void succeeded(WaitKey key);
  void failed(WaitKey key, Waiter waiter, bool particular);
  void returned(WaitKey key) { succeeded(key); }
  void on_room(std::uint32_t pool_id) override { wake({WaitFor::BackendSlot, pool_id}); }

  /// Nothing that is said counts any more: the workers are going away. After the owner's thread has ended,
  /// before its loop does.
  void close();

 private:
  template <class Change>
  void post(Change change);
  void summon_due();
  std::uint64_t now_ms() const;

  Loop& owner_;
  const Summon summon_;
  WaitQueue queue_;  // the owner's thread, like the timer
  std::unique_ptr<Timer> timer_;
  std::atomic<bool> closed_{false};
};

}  // namespace weir
