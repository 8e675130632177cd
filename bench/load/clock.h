#pragma once

#include <ctime>

#include <cstdint>
#include <limits>

namespace weir::load {

/// Nanoseconds of CLOCK_MONOTONIC, or a span of them.
using Nanos = std::int64_t;

inline constexpr Nanos kNever = std::numeric_limits<Nanos>::max();
inline constexpr Nanos kSecond = 1'000'000'000;
inline constexpr Nanos kMillisecond = 1'000'000;

inline Nanos monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return Nanos{now.tv_sec} * kSecond + now.tv_nsec;
}

inline double to_seconds(Nanos span) {
  return static_cast<double>(span) / static_cast<double>(kSecond);
}

}  // namespace weir::load
