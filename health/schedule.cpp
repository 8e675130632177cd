#include "health/schedule.h"

#include <algorithm>
#include <cmath>

namespace weir {
namespace {

using std::chrono::nanoseconds;

/// Starts share wake-ups of the loop: 1,000 probes a second cost 200 of them instead of 1,000.
constexpr nanoseconds kGrid = Millis(5);

}  // namespace

Schedule::Schedule(Millis interval, Millis fast_interval, double place, std::uint32_t seed)
    : interval_(interval),
      fast_interval_(std::min(interval, fast_interval)),
      place_(static_cast<std::int64_t>(place * static_cast<double>(interval_.count()))),
      grid_(std::max(nanoseconds(1), std::min(kGrid, nanoseconds(fast_interval_) / 100))),
      random_(seed) {}

nanoseconds Schedule::jitter(nanoseconds range) {
  std::uniform_int_distribution<std::int64_t> distribution(-range.count(), range.count());
  return nanoseconds(distribution(random_));
}

nanoseconds Schedule::on_grid(nanoseconds time) const {
  return time - time % grid_;
}

nanoseconds Schedule::next(nanoseconds started) {
  // A start that was on time lies within 0.05 intervals of its place (jitter and grid): its successor is the
  // next place.
  const nanoseconds horizon = started + interval_ + interval_ / 20;
  const nanoseconds place = horizon - (horizon - place_) % interval_;
  return on_grid(place + jitter(interval_ / 25));
}

nanoseconds Schedule::next_fast(nanoseconds started) {
  return on_grid(started + fast_interval_ + jitter(fast_interval_ / 10));
}

double Places::next(Millis interval) {
  constexpr double kGoldenRatio = 0.6180339887498949;
  return std::fmod(kGoldenRatio * used_[interval]++, 1.0);
}

}  // namespace weir
