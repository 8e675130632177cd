#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <random>

#include "lb/base/duration.h"

namespace weir {

/// When one probe is run next. Pure: times are passed in, randomness comes from the seed.
///
/// Every probe has a place of its own in its interval, anchored to the clock, so that probes which have once
/// been spread stay spread: each start lies within 4 % of its place, and thus 0.9 to 1.1 intervals after the
/// one before. (Adding a random ±10 % to the last start instead would let the places drift together.)
class Schedule {
 public:
  /// `place`: 0 to 1, where in the interval (see Places).
  Schedule(Millis interval, Millis fast_interval, double place, std::uint32_t seed);

  /// The start after the one at `started`: at its place, the last one that is at most 1.1 intervals away.
  std::chrono::nanoseconds next(std::chrono::nanoseconds started);
  /// The same while a verdict is being confirmed: after fast_interval ±10 %, never later than next().
  std::chrono::nanoseconds next_fast(std::chrono::nanoseconds started);

 private:
  std::chrono::nanoseconds jitter(std::chrono::nanoseconds range);
  std::chrono::nanoseconds on_grid(std::chrono::nanoseconds time) const;

  std::chrono::nanoseconds interval_;
  std::chrono::nanoseconds fast_interval_;
  std::chrono::nanoseconds place_;
  std::chrono::nanoseconds grid_;
  std::minstd_rand random_;
};

/// Hands out places in an interval, spread evenly however many are asked for in the end: the fractional parts
/// of the multiples of the golden ratio (Weyl's sequence), one sequence for each length of interval.
class Places {
 public:
  double next(Millis interval);

 private:
  std::map<Millis, std::uint32_t> used_;
};

}  // namespace weir
