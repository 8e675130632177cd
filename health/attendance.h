#pragma once

#include <algorithm>
#include <chrono>

namespace weir {

/// How long a loop was away when it should have been running: stopped, starved of CPU, held up. Pure. A
/// probe's timeout is counted in attended time, so that no backend is blamed for our own absence.
class Attendance {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  /// Delays that belong to everyday scheduling do not count.
  static constexpr nanoseconds kTolerance = std::chrono::milliseconds(10);

  /// The loop goes to sleep at `now`, for `longest` at most (negative = until something happens).
  void sleep(nanoseconds now, nanoseconds longest) {
    expected_ = longest < nanoseconds::zero() ? nanoseconds::max() : now + longest;
  }
  /// It has done its work after the sleep.
  void wake(nanoseconds now) {
    if (expected_ != nanoseconds::max() && now - expected_ > kTolerance) absence_ += now - expected_;
    expected_ = nanoseconds::max();
  }
  /// In all, since the beginning.
  nanoseconds absence() const { return absence_; }

 private:
  nanoseconds expected_ = nanoseconds::max();
  nanoseconds absence_{0};
};

}  // namespace weir
