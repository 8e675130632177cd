#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace weir {

/// Buckets of which each ends at four times the end of the one before: the first holds what is at most
/// kLeast, the last what is beyond all the others.
template <std::uint64_t kLeast, std::size_t kFinite>
struct AmountBuckets {
  static constexpr std::size_t kCount = kFinite + 1;

  static constexpr std::size_t of(std::uint64_t amount) {
    if (amount <= kLeast) return 0;
    const auto power = static_cast<std::size_t>(std::bit_width((amount - 1) / kLeast));
    const std::size_t bucket = (power + 1) / 2;
    return bucket < kFinite ? bucket : kFinite;
  }
  /// What is at most that is in this bucket or one before it; of the last one there is none.
  static constexpr std::uint64_t end_of(std::size_t bucket) { return kLeast << (2 * bucket); }
};

/// How long sessions last, in µs: 1 ms to 18.6 h.
using SpanBuckets = AmountBuckets<1'000, 14>;
/// How many bytes they move: 64 B to 64 GiB.
using SizeBuckets = AmountBuckets<64, 16>;

/// How often which amount there was. One thread records, without a lock or a locked instruction; anyone
/// reads.
template <class Buckets>
class AmountHistogram {
 public:
  void record(std::uint64_t amount) { add(Buckets::of(amount), 1, amount); }
  /// What has been counted elsewhere; the recording thread.
  void add(std::size_t bucket, std::uint64_t times, std::uint64_t sum) {
    auto& count = counts_[bucket];
    count.store(count.load(std::memory_order_relaxed) + times, std::memory_order_relaxed);
    sum_.store(sum_.load(std::memory_order_relaxed) + sum, std::memory_order_relaxed);
  }
  std::uint64_t count(std::size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> sum_{0};
  std::array<std::atomic<std::uint64_t>, Buckets::kCount> counts_{};
};

/// The same added up, as a value.
template <class Buckets>
struct AmountCounts {
  std::array<std::uint64_t, Buckets::kCount> counts{};
  std::uint64_t sum = 0;

  friend bool operator==(const AmountCounts&, const AmountCounts&) = default;
  AmountCounts& operator+=(const AmountHistogram<Buckets>& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.count(i);
    sum += other.sum();
    return *this;
  }
  AmountCounts& operator+=(const AmountCounts& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    sum += other.sum;
    return *this;
  }
  AmountCounts operator-(const AmountCounts& older) const {
    AmountCounts out;
    out.sum = sum - older.sum;
    for (std::size_t i = 0; i < counts.size(); ++i) out.counts[i] = counts[i] - older.counts[i];
    return out;
  }
};

}  // namespace weir
