#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace weir {

/// Buckets for times from 50 µs to 100 s, four for each power of two (HdrHistogram's log-linear idea,
/// coarse): what is told of a time is within a quarter of it. Below and above there is one bucket each.
namespace time_buckets {
inline constexpr std::uint64_t kLeast = 50;  ///< µs: the first bucket's end
inline constexpr std::size_t kPowers = 21;   ///< 50 µs · 2^21 = 104.9 s
inline constexpr std::size_t kCount = 4 * kPowers + 2;

constexpr std::size_t of(std::chrono::microseconds time) {
  const auto quarters = static_cast<std::uint64_t>(time.count() > 0 ? time.count() : 0) * 4 / kLeast;
  if (quarters < 4) return 0;
  const auto power = static_cast<std::size_t>(std::bit_width(quarters)) - 3;
  if (power >= kPowers) return kCount - 1;
  return 1 + 4 * power + ((quarters >> power) & 3);
}
/// Where a bucket ends and the next one begins; the last one has no end.
constexpr std::chrono::microseconds end_of(std::size_t bucket) {
  if (bucket == 0) return std::chrono::microseconds(kLeast);
  const std::size_t power = (bucket - 1) / 4, quarter = (bucket - 1) % 4;
  // The bounds are those of of(), which rounds down.
  const std::uint64_t quarters = (5 + quarter) << power;
  return std::chrono::microseconds((quarters * kLeast + 3) / 4);
}
}  // namespace time_buckets

/// How often which time was taken. One thread records, without a lock or a locked instruction; anyone reads.
class TimeHistogram {
 public:
  void record(std::chrono::microseconds time) {
    add(time_buckets::of(time), 1, static_cast<std::uint64_t>(time.count() > 0 ? time.count() : 0));
  }
  /// What has been counted elsewhere; the recording thread.
  void add(std::size_t bucket, std::uint64_t times, std::uint64_t sum) {
    auto& count = counts_[bucket];
    count.store(count.load(std::memory_order_relaxed) + times, std::memory_order_relaxed);
    sum_.store(sum_.load(std::memory_order_relaxed) + sum, std::memory_order_relaxed);
  }
  std::uint64_t count(std::size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  /// Of all times, in µs.
  std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> sum_{0};
  std::array<std::atomic<std::uint64_t>, time_buckets::kCount> counts_{};
};

/// The same added up, as a value.
struct TimeCounts {
  std::array<std::uint64_t, time_buckets::kCount> counts{};
  std::uint64_t sum = 0;  ///< µs

  friend bool operator==(const TimeCounts&, const TimeCounts&) = default;
  TimeCounts& operator+=(const TimeHistogram& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.count(i);
    sum += other.sum();
    return *this;
  }
  TimeCounts& operator+=(const TimeCounts& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    sum += other.sum;
    return *this;
  }
  TimeCounts operator-(const TimeCounts& older) const {
    TimeCounts out;
    out.sum = sum - older.sum;
    for (std::size_t i = 0; i < counts.size(); ++i) out.counts[i] = counts[i] - older.counts[i];
    return out;
  }
  std::uint64_t total() const {
    std::uint64_t out = 0;
    for (const std::uint64_t count : counts) out += count;
    return out;
  }
  /// A time that this share of all (0 to 1) did not exceed: the end of its bucket. Nothing where there is
  /// none; of the last bucket its beginning.
  std::optional<std::chrono::microseconds> quantile(double share) const {
    const std::uint64_t all = total();
    if (all == 0) return std::nullopt;
    const double wanted = share * static_cast<double>(all);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i + 1 < counts.size(); ++i) {
      seen += counts[i];
      if (static_cast<double>(seen) >= wanted) return time_buckets::end_of(i);
    }
    return time_buckets::end_of(counts.size() - 2);
  }
};

}  // namespace weir
