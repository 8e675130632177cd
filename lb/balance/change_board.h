#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace weir {

/// Says of many counters which have changed, so that nobody need read all of them: whoever changes one marks
/// its place afterwards, whoever reads compares the stamps with those seen before. It says *that*, never how
/// much; any number of readers, of different ages, look at one board and take nothing away from each other.
/// Several counters may share a place. Two levels: a reader of 10,000 looks at 64 tops and at the blocks of
/// those that differ. Thread-safe; never blocks, never allocates. 17 KiB.
class ChangeBoard {
 public:
  static constexpr std::uint32_t kBlocks = 64;
  static constexpr std::uint32_t kBlockPlaces = 64;
  static constexpr std::uint32_t kPlaces = kBlocks * kBlockPlaces;

  /// After the change. Whoever sees the mark sees the change too.
  void mark(std::uint32_t place) {
    places_[place].fetch_add(1, std::memory_order_release);
    blocks_[place / kBlockPlaces].fetch_add(1, std::memory_order_release);
  }

  /// Changes after any place of the block has. 2^32 marks between two looks of one reader would be missed.
  std::uint32_t block_stamp(std::uint32_t block) const {
    return blocks_[block].load(std::memory_order_acquire);
  }
  std::uint32_t place_stamp(std::uint32_t place) const {
    return places_[place].load(std::memory_order_acquire);
  }

 private:
  alignas(64) std::array<std::atomic<std::uint32_t>, kPlaces> places_{};
  alignas(64) std::array<std::atomic<std::uint32_t>, kBlocks> blocks_{};
};

}  // namespace weir
