#pragma once

#include <sys/epoll.h>

#include <cstdint>

#include "bench/load/clock.h"
#include "lb/base/error.h"
#include "lb/base/fd.h"

namespace weir::load {

class EventHandler {
 public:
  virtual ~EventHandler() = default;
  virtual void on_ready(std::uint32_t events) = 0;
};

/// One epoll set for a single thread. A handler may close its own descriptor, and open another in its place,
/// while it is called; it may not destroy itself or close another handler's (use the time between two waits).
class EventLoop {
 public:
  /// Also takes SIGINT and SIGTERM over: they set stop_asked() from now on.
  static Result<EventLoop> open();

  /// Reports `events` of `fd` to `handler`, which must outlive the descriptor. False: no (errno says why).
  [[nodiscard]] bool add(int fd, std::uint32_t events, EventHandler& handler) const;
  void modify(int fd, std::uint32_t events, EventHandler& handler) const;
  void remove(int fd) const;

  /// Waits until something is ready, but not beyond `until`, and calls the handlers of one batch.
  void wait(Nanos until);

  bool stop_asked() const { return stop_asked_; }

 private:
  EventLoop(Fd epoll, Fd signals) : epoll_(std::move(epoll)), signals_(std::move(signals)) {}

  Fd epoll_;
  Fd signals_;
  bool stop_asked_ = false;
};

}  // namespace weir::load
