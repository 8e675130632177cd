#pragma once

#include <functional>
#include <memory>

#include "lb/net/loop.h"

namespace weir {

/// A one-shot timer on a loop (libuv's). For what is rare; a session's deadlines have their own wheel
/// (proxy/deadlines). Belongs to the loop's thread; destroying it stops it. The callback may start, stop or
/// destroy the timer.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> on_expiry);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Replaces an earlier start. A delay of nothing is "when the descriptors that are ready have been seen
  /// to", even when the callback starts it again and again.
  void start(Millis delay);
  void stop();
  bool active() const;

 private:
  struct Handle;
  Handle* handle_;  // owned; freed by libuv's close callback
};

}  // namespace weir
