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

  void start(Millis delay);  ///< replaces an earlier start
  void stop();
  bool active() const;

 private:
  struct Handle;
  Handle* handle_;  // owned; freed by libuv's close callback
};

}  // namespace weir
