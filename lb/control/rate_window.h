#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "lb/base/duration.h"

namespace weir {

/// How fast a counter has grown of late: over the last one to two steps. A value; time is passed in.
class RateWindow {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr Millis kStep{5'000};  ///< between two samples

  RateWindow() = default;
  RateWindow(Time now, std::uint64_t total) : older_{now, total}, newer_{now, total} {}

  void sample(Time now, std::uint64_t total) {
    // More often than wanted: the window must not shrink.
    if (now - newer_.when < kStep / 2) return;
    older_ = newer_;
    newer_ = {now, total};
  }
  /// The counter has grown by what was counted elsewhere, at another time.
  void shift(std::uint64_t by) {
    older_.total += by;
    newer_.total += by;
  }
  double per_second(Time now, std::uint64_t total) const {
    // Of the first second nothing can be said but what has come in it.
    const std::chrono::duration<double> span =
        std::max(now - older_.when, Time::duration(std::chrono::seconds(1)));
    return static_cast<double>(total - std::min(total, older_.total)) / span.count();
  }

 private:
  struct Sample {
    Time when{};
    std::uint64_t total = 0;
  };
  Sample older_, newer_;
};

}  // namespace weir
