#pragma once

#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>

namespace weir {

/// How long something takes of late: each new time moves the average by an eighth of what it differs, and
/// without any it halves every 10 s, so that one who was slow is tried again. Any thread writes, any reads;
/// of two who write at once one may be lost.
class SmoothedTime {
 public:
  static constexpr double kStep = 1.0 / 8;
  static constexpr double kHalfLifeMs = 10'000;

  void record(std::chrono::microseconds took, std::uint64_t now_ms) {
    const auto fresh = static_cast<double>(std::max<std::int64_t>(took.count(), 1));
    const std::optional<double> old = at(now_ms);
    const double next = old ? *old + (fresh - *old) * kStep : fresh;
    const std::uint64_t bits = std::bit_cast<std::uint32_t>(static_cast<float>(next));
    state_.store(bits << 32 | static_cast<std::uint32_t>(now_ms), std::memory_order_relaxed);
  }
  /// Microseconds; nothing before the first one.
  std::optional<double> at(std::uint64_t now_ms) const {
    const std::uint64_t state = state_.load(std::memory_order_relaxed);
    if (state >> 32 == 0) return std::nullopt;
    const double average = std::bit_cast<float>(static_cast<std::uint32_t>(state >> 32));
    // Modulo 2^32 ms, 49 days; another worker's clock may be up to a minute ahead.
    const std::uint32_t passed = static_cast<std::uint32_t>(now_ms) - static_cast<std::uint32_t>(state);
    return passed > UINT32_MAX - 60'000 ? average
                                        : average * std::exp2(-static_cast<double>(passed) / kHalfLifeMs);
  }

 private:
  std::atomic<std::uint64_t> state_{0};  ///< a float's bits, then when it was so
};

}  // namespace weir
