#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace weir {

/// The least of many keys that change all the time, and who has it: a tournament of 16 at a time. Every
/// thread may renew and look at any moment; none waits for another, nothing allocates after the constructor.
///
/// A node holds the least key below it and a tag that each renewal changes. Who renews a node reads what is
/// below, then replaces the node only if nobody else has meanwhile; after two such failures another's reading
/// was begun after our change, and has it (Jayanti's f-array). So when renew() returns, every node above
/// knows a key that was read after the call, whatever other threads do, or fail to do, in the middle of
/// theirs.
class MinTree {
 public:
  using Rank = std::uint32_t;
  using Key = std::uint64_t;
  static constexpr unsigned kKeyBits = 54;
  /// Greater than any key.
  static constexpr Key kNobody = (Key{1} << kKeyBits) - 1;

  /// All keys are kNobody at first.
  explicit MinTree(std::uint32_t count);

  /// Before other threads see it; then rebuild().
  void set(Rank rank, Key key) { leaves()[rank].store(word(key, 0), std::memory_order_relaxed); }
  void rebuild();

  /// Renews the key of `rank` and what is above. `read` tells the key as it is now; called twice at most.
  template <typename Read>
  void renew(Rank rank, Read read) {
    renew_leaf(rank, read);
    renew_above(rank);
  }
  /// The two halves, for many at once: first the leaves, then what is above one of each block of kFan.
  template <typename Read>
  void renew_leaf(Rank rank, Read read) {
    replace(leaves()[rank], read);
  }
  void renew_above(Rank rank);

  /// The least key without those of `excluded` (few); kNobody when no other is left.
  Key least(std::span<const Rank> excluded) const;
  /// The first rank in [from, to) whose key is at most `key`.
  std::optional<Rank> first(Key key, Rank from, Rank to, std::span<const Rank> excluded) const;

  Key key(Rank rank) const { return key_at(0, rank); }

  static constexpr unsigned kFanBits = 4;
  static constexpr std::uint32_t kFan = 1U << kFanBits;

 private:
  using Node = std::atomic<std::uint64_t>;
  static constexpr unsigned kTagBits = 64 - kKeyBits;
  /// 16^5 × 16 ranks.
  static constexpr unsigned kMostLevels = 6;

  static std::uint64_t word(Key key, std::uint64_t tag) {
    return key << kTagBits | (tag & ((1U << kTagBits) - 1));
  }
  template <typename Read>
  static void replace(Node& node, Read read) {
    for (int attempt = 0; attempt < 2; ++attempt) {
      std::uint64_t old = node.load(std::memory_order_acquire);
      const Key key = read();
      if (node.compare_exchange_strong(old, word(key, old + 1), std::memory_order_acq_rel)) return;
    }
  }

  Node* leaves() { return nodes_.data(); }
  Key key_at(unsigned level, std::uint32_t at) const {
    return nodes_[starts_[level] + at].load(std::memory_order_acquire) >> kTagBits;
  }
  Key least_below(unsigned level, std::uint32_t at) const;
  Key least_left(unsigned level, std::uint32_t at, std::span<const Rank> excluded) const;

  unsigned levels_ = 1;                            ///< the last has kFan nodes at most
  std::array<std::size_t, kMostLevels> starts_{};  ///< of each level in nodes_; a multiple of kFan nodes each
  std::array<std::uint32_t, kMostLevels> counts_{};
  std::vector<Node> nodes_;
};

}  // namespace weir
