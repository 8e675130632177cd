#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "lb/base/duration.h"

namespace weir {

/// The share of its weight that a recovered backend gets: 10 % at once, 100 % after `duration`, in steps of
/// 10 % that are at least 100 ms apart (each step is a new Table). A value; time is passed in.
struct SlowStart {
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::uint32_t kSteps = 9;  // 10 % to 100 %
  static constexpr Millis kShortestStep{100};

  Time begin;
  Millis duration{0};

  Millis step() const { return std::max(kShortestStep, duration / kSteps); }

  std::uint32_t share_percent(Time now) const {
    if (over(now)) return 100;
    const auto elapsed = std::chrono::duration_cast<Millis>(std::max(now, begin) - begin);
    const auto whole_steps = elapsed / step() * step();
    return 10 + static_cast<std::uint32_t>(90 * whole_steps.count() / duration.count());
  }
  bool over(Time now) const { return now - begin >= duration; }

  /// When the share next changes; `now` must be before the end.
  Time next(Time now) const {
    const auto elapsed = std::chrono::duration_cast<Millis>(std::max(now, begin) - begin);
    return begin + std::min((elapsed / step() + 1) * step(), duration);
  }
};

}  // namespace weir
