#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lb/base/error.h"

namespace weir {

/// How often something may happen, as a bucket of tokens: it holds `burst` of them and gets one each
/// `interval`.
///
/// All that is remembered of a bucket is when it will be full again (the generic cell rate algorithm, ITU-T
/// I.371): one number, which no clock has to refresh. Pure; times are of the monotonic clock, and not
/// negative.
struct Rate {
  using Time = std::chrono::nanoseconds;

  Time interval{0};  ///< 0 = no limit
  std::uint32_t burst = 1;

  bool is_limited() const { return interval.count() > 0; }

  /// Takes a token from the bucket that is full at `full_at`: when it is full then, or nothing when it is
  /// empty. One that was filled by another rate counts as empty at worst.
  std::optional<Time> take(Time full_at, Time now) const {
    const Time begin = std::clamp(full_at, now, std::max(now, now + interval * burst));
    if (begin + interval > now + interval * burst) return std::nullopt;
    return begin + interval;
  }
  /// How long until a token is there.
  Time wait(Time full_at, Time now) const {
    if (!is_limited()) return Time{0};
    const Time begin = std::clamp(full_at, now, now + interval * burst);
    return std::max(Time{0}, begin + interval - (now + interval * burst));
  }

  friend bool operator==(const Rate&, const Rate&) = default;
};

inline constexpr std::uint32_t kMaxRateNumber = 1'000'000;  ///< of a rate's number, and of a burst

/// Reads "20/s", "600/m" or "5000/h"; "" is no limit. `burst` 0: one second's worth, at least 1.
Result<Rate> parse_rate(std::string_view text, std::uint32_t burst);

/// A bucket for all: of a listener's new sessions. Thread-safe, lock-free; exact over all threads.
class TokenBucket {
 public:
  bool take(const Rate& rate, Rate::Time now);
  /// Of one that has come to nothing: no client was there to be let in.
  void give_back(const Rate& rate) { full_at_.fetch_sub(rate.interval.count(), std::memory_order_relaxed); }
  /// When it is full again: for a bucket of the process that follows.
  Rate::Time full_at() const { return Rate::Time(full_at_.load(std::memory_order_relaxed)); }
  void fill_at(Rate::Time time) { full_at_.store(time.count(), std::memory_order_relaxed); }
  /// How long until take() has a chance.
  Rate::Time wait(const Rate& rate, Rate::Time now) const {
    return rate.wait(Rate::Time(full_at_.load(std::memory_order_relaxed)), now);
  }

 private:
  std::atomic<std::int64_t> full_at_{0};
};

}  // namespace weir
