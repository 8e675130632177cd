#pragma once

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

namespace weir::test {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

#ifdef WEIR_SANITIZED
inline constexpr bool kSanitized = true;
inline constexpr int kPatienceFactor = 4;
#else
inline constexpr bool kSanitized = false;
inline constexpr int kPatienceFactor = 1;
#endif

/// `duration`, stretched for builds that sanitizers slow down. For upper bounds only: lower bounds stay as
/// they are.
constexpr milliseconds patient(milliseconds duration) {
  return duration * kPatienceFactor;
}

/// How long anything may take that should simply happen: generous, because only a failing test waits for it.
inline constexpr milliseconds kPatience = patient(milliseconds(15'000));

/// `count` in plain builds, a tenth of it (at least one) under sanitizers.
constexpr std::size_t scaled(std::size_t count) {
  return kSanitized ? std::max<std::size_t>(count / 10, 1) : count;
}

/// Waits until `predicate()` holds, asking every millisecond or so. False when `deadline` has passed first.
template <class Predicate>
bool eventually(milliseconds deadline, Predicate predicate) {
  const auto end = Clock::now() + deadline;
  while (!predicate()) {
    if (Clock::now() >= end) return predicate();
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

template <class Predicate>
bool eventually(Predicate predicate) {
  return eventually(kPatience, predicate);
}

inline milliseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - start);
}

/// The value below which `share` (0 to 1) of `samples` lie. `samples` must not be empty.
inline milliseconds percentile(std::vector<milliseconds> samples, double share) {
  std::sort(samples.begin(), samples.end());
  const auto last = static_cast<double>(samples.size() - 1);
  return samples[static_cast<std::size_t>(last * share)];
}

}  // namespace weir::test
