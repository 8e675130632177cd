#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "lb/base/duration.h"
#include "lb/base/error.h"
#include "lb/net/busy_poll.h"

struct epoll_event;

namespace weir {

/// Bits of an event and of an interest; the values of epoll (held by static_assert), so that no other room
/// needs its header.
namespace events {
inline constexpr std::uint32_t kReadable = 0x001;
inline constexpr std::uint32_t kUrgent = 0x002;  ///< out-of-band data: a short read no longer means "empty"
inline constexpr std::uint32_t kWritable = 0x004;
inline constexpr std::uint32_t kError = 0x008;        ///< always reported
inline constexpr std::uint32_t kHangUp = 0x010;       ///< both directions are over; always reported
inline constexpr std::uint32_t kPeerClosed = 0x2000;  ///< a FIN (or a reset) has arrived
inline constexpr std::uint32_t kExclusive = 1u
                                            << 28;  ///< of several loops that watch one description, wake one
inline constexpr std::uint32_t kEdge = 1u << 31;
/// What every session socket is registered for, once and for all.
inline constexpr std::uint32_t kStream = kReadable | kWritable | kUrgent | kPeerClosed | kEdge;
}  // namespace events

/// Is told of the events of a descriptor it registered with a Loop. Must outlive the batch in which it
/// unwatches or closes that descriptor: dispose of it in LoopTurn::on_turn_end.
class Watcher {
 public:
  virtual void on_events(std::uint32_t events) = 0;

 protected:
  ~Watcher() = default;
};

/// Work that belongs to the end of a batch of events: running on with what ran out of its budget, deadlines,
/// disposal.
class LoopTurn {
 public:
  /// Answers how long the loop may sleep if nothing else happens: zero = more to do at once, negative = for
  /// ever.
  virtual Millis on_turn_end() = 0;

 protected:
  ~LoopTurn() = default;
};

/// One thread's event loop: an epoll set of its own in front, which holds the sockets and, as one descriptor
/// among them, libuv's loop (timers, signals, processes, posts). libuv documents this embedding
/// (uv_backend_fd, uv_backend_timeout); it spares the socket path libuv's per-watcher bookkeeping and one
/// epoll_wait for each wake-up.
///
/// Everything but post() and stop() is for the thread that calls run(), or before run().
class Loop {
 public:
  static Result<std::unique_ptr<Loop>> create();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until stop(). Posts that were made before stop() still run.
  void run();
  /// Any thread, once or more.
  void stop();

  /// Runs `task` on the loop's thread, in the order of the posts of each posting thread. Any thread;
  /// lock-free. Tasks that are still waiting when the loop is destroyed are destroyed without being run.
  void post(std::function<void()> task);

  /// Registers a descriptor. It leaves the set when it is closed, unless another process or descriptor shares
  /// its description: then unwatch first.
  Result<void> watch(int fd, Watcher& watcher, std::uint32_t interest);
  void change_interest(int fd, Watcher& watcher, std::uint32_t interest);
  void unwatch(int fd);

  /// At most one; null for none. Not owned.
  void set_turn(LoopTurn* turn) { turn_ = turn; }

  /// Polls before it sleeps, where that pays; off until it is set. What a turn has moved is told to it.
  BusyPolling& busy_polling() { return busy_polling_; }

  /// Whether more events may be waiting than the last batch had room for.
  bool batch_was_full() const { return batch_was_full_; }

  /// The monotonic clock, read once for each wake-up: nanoseconds since an arbitrary start.
  std::chrono::nanoseconds now() const { return now_; }
  /// The same in whole milliseconds.
  std::uint64_t now_ms() const { return now_ms_; }
  /// Reads the clock anew: for what must not be as old as the batch.
  std::chrono::nanoseconds refresh_now();

 private:
  friend class LoopAccess;  // the classes of this room that sit on libuv
  struct Uv;

  Loop();
  void wake();
  void drain_posts();
  void run_uv();
  int wait_timeout_ms() const;
  /// Events, or none within the timeout: asleep, or polling for them first.
  int wait(std::span<epoll_event> batch, int timeout_ms);
  /// Events that come while it polls, or none.
  int poll(std::span<epoll_event> batch, int timeout_ms);

  std::unique_ptr<Uv> uv_;
  int epoll_fd_ = -1;
  LoopTurn* turn_ = nullptr;
  BusyPolling busy_polling_;
  Millis turn_sleep_{-1};
  bool batch_was_full_ = false;
  std::chrono::nanoseconds now_{0};
  std::chrono::nanoseconds woken_{0};  ///< the last wake-up; now_ may have been read anew since
  std::uint64_t now_ms_ = 0;
  std::atomic<bool> stopping_{false};
};

}  // namespace weir
