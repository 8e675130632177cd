#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace weir {

/// How many of a pool's connects may be hedged: one in ten, over the second that runs and the nine before it.
/// Never more, whatever the number of threads: who finds that another was faster takes his own back. Any
/// thread; lock-free.
class HedgeBudget {
 public:
  static constexpr std::uint64_t kOneIn = 10;
  static constexpr std::uint64_t kSeconds = 10;

  void count_connect(std::uint64_t now_ms) { add(now_ms / 1000, kConnect); }

  /// True: one connect may be hedged now.
  bool take(std::uint64_t now_ms) {
    const std::uint64_t second = now_ms / 1000;
    if (!allows(second, 1)) return false;
    add(second, kHedge);
    if (allows(second, 0)) return true;
    give_back(now_ms);
    return false;
  }
  /// Of one that has come to nothing, at the time at which it was taken.
  void give_back(std::uint64_t now_ms) { add(now_ms / 1000, -kHedge); }

 private:
  // A word: the second by its low 24 bits, connects of it, hedges of it, 20 bits each.
  static constexpr std::uint64_t kHedge = 1;
  static constexpr std::uint64_t kConnect = std::uint64_t{1} << 20;
  static constexpr std::uint64_t kMost = kConnect - 1;
  static constexpr std::uint64_t kSecondMask = (std::uint64_t{1} << 24) - 1;

  static std::uint64_t second_of(std::uint64_t word) { return word >> 40; }
  static std::uint64_t connects_of(std::uint64_t word) { return (word >> 20) & kMost; }
  static std::uint64_t hedges_of(std::uint64_t word) { return word & kMost; }

  bool allows(std::uint64_t second, std::uint64_t more) const {
    std::uint64_t connects = 0, hedges = more;
    for (const auto& slot : slots_) {
      const std::uint64_t word = slot.load();
      // Another thread's clock may be a second ahead.
      const std::uint64_t age = (second - second_of(word)) & kSecondMask;
      if (age >= kSeconds && age != kSecondMask) continue;
      connects += connects_of(word);
      hedges += hedges_of(word);
    }
    return hedges * kOneIn <= connects;
  }

  void add(std::uint64_t second, std::uint64_t what) {
    auto& slot = slots_[second % kSeconds];
    std::uint64_t seen = slot.load(), next;
    do {
      const bool other_second = second_of(seen) != (second & kSecondMask);
      // One that was taken back after its second was over is forgotten with it.
      if (other_second && what == -kHedge) return;
      const std::uint64_t before = other_second ? (second & kSecondMask) << 40 : seen;
      // A million in a second: what is beyond does not make the share another.
      if (what == kConnect && connects_of(before) == kMost) return;
      next = before + what;
    } while (!slot.compare_exchange_weak(seen, next));
  }

  std::array<std::atomic<std::uint64_t>, kSeconds> slots_{};
};

}  // namespace weir
