#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace weir::load {

/// Counts values in log-linear buckets, as HdrHistogram does: exact below 256, and above that 128 buckets for
/// each power of two, so that a percentile is at most 1/128 above the true one and never below it. Minimum,
/// maximum and mean are exact. Units are the caller's; values over kLargest are counted as kLargest.
class Histogram {
 public:
  static constexpr std::uint64_t kLargest = (std::uint64_t{1} << 42) - 1;  ///< 73 minutes of nanoseconds

  void record(std::uint64_t value) {
    value = std::min(value, kLargest);
    ++buckets_[index_of(value)];
    ++count_;
    sum_ += value;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  std::uint64_t max() const { return max_; }
  double mean() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_); }

  /// The smallest bucket bound that at least `fraction` (0 to 1) of the values do not exceed; 0 when empty.
  std::uint64_t percentile(double fraction) const {
    if (count_ == 0) return 0;
    const double exact = fraction * static_cast<double>(count_);
    auto rank = static_cast<std::uint64_t>(exact);
    if (static_cast<double>(rank) < exact) ++rank;
    rank = std::clamp<std::uint64_t>(rank, 1, count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= rank) return std::clamp(upper_bound_of(i), min_, max_);
    }
    return max_;
  }

 private:
  static constexpr unsigned kBits = 7;                           // 2^7 buckets for each power of two
  static constexpr std::size_t kHalf = std::size_t{1} << kBits;  // 128
  static constexpr std::size_t kBuckets = kHalf * (42 - kBits + 1);

  // A value of b bits (b > 8) keeps its upper 8 bits: shift = b - 8, then 128 buckets for each shift.
  static std::size_t index_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > kBits + 1 ? width - kBits - 1 : 0;
    return kHalf * shift + static_cast<std::size_t>(value >> shift);
  }
  static std::uint64_t upper_bound_of(std::size_t index) {
    if (index < 2 * kHalf) return index;
    const std::size_t shift = index / kHalf - 1;
    const std::size_t top = index - kHalf * shift;
    return ((std::uint64_t{top} + 1) << shift) - 1;
  }

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t min_ = kLargest;
  std::uint64_t max_ = 0;
};

}  // namespace weir::load
