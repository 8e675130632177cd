#include "lb/balance/min_tree.h"

#include <algorithm>

#include "lb/base/error.h"

namespace weir {
namespace {

std::uint32_t blocks_of(std::uint32_t count) {
  return (count + MinTree::kFan - 1) / MinTree::kFan;
}

}  // namespace

MinTree::MinTree(std::uint32_t count) {
  std::size_t total = 0;
  for (levels_ = 0;; ++levels_) {
    WEIR_CHECK(levels_ < kMostLevels);
    starts_[levels_] = total;
    counts_[levels_] = count;
    total += std::size_t{blocks_of(count)} * kFan;
    if (count <= kFan) break;
    count = blocks_of(count);
  }
  ++levels_;
  nodes_ = std::vector<Node>(total);
  for (Node& node : nodes_) node.store(word(kNobody, 0), std::memory_order_relaxed);
}

void MinTree::rebuild() {
  for (unsigned level = 1; level < levels_; ++level) {
    for (std::uint32_t at = 0; at < counts_[level]; ++at) {
      nodes_[starts_[level] + at].store(word(least_below(level, at), 0), std::memory_order_relaxed);
    }
  }
}

void MinTree::renew_above(Rank rank) {
  std::uint32_t at = rank;
  for (unsigned level = 1; level < levels_; ++level) {
    at >>= kFanBits;
    replace(nodes_[starts_[level] + at], [&] { return least_below(level, at); });
  }
}

MinTree::Key MinTree::least_below(unsigned level, std::uint32_t at) const {
  const Node* const below = nodes_.data() + starts_[level - 1] + (std::size_t{at} << kFanBits);
  std::uint64_t least = below[0].load(std::memory_order_acquire);
  for (std::uint32_t i = 1; i < kFan; ++i) {
    least = std::min(least, below[i].load(std::memory_order_acquire));
  }
  return least >> kTagBits;
}

MinTree::Key MinTree::least(std::span<const Rank> excluded) const {
  const unsigned top = levels_ - 1;
  Key least = kNobody;
  for (std::uint32_t at = 0; at < counts_[top]; ++at) least = std::min(least, least_left(top, at, excluded));
  return least;
}

MinTree::Key MinTree::least_left(unsigned level, std::uint32_t at, std::span<const Rank> excluded) const {
  const unsigned shift = level * kFanBits;
  const bool whole = std::ranges::none_of(excluded, [&](Rank rank) { return rank >> shift == at; });
  if (whole) return key_at(level, at);
  if (level == 0) return kNobody;
  Key least = kNobody;
  const std::uint32_t first = at << kFanBits;
  const std::uint32_t end = std::min(first + kFan, counts_[level - 1]);
  for (std::uint32_t below = first; below < end; ++below) {
    least = std::min(least, least_left(level - 1, below, excluded));
  }
  return least;
}

std::optional<MinTree::Rank> MinTree::first(Key key, Rank from, Rank to,
                                            std::span<const Rank> excluded) const {
  const unsigned top = levels_ - 1;
  std::uint32_t at = from;
  unsigned level = 0;
  while ((std::uint64_t{at} << (level * kFanBits)) < to) {
    // The largest block that begins here: skipped as a whole, or entered.
    while (level < top && at % kFan == 0) {
      at >>= kFanBits;
      ++level;
    }
    while (key_at(level, at) <= key) {
      if (level == 0) {
        if (at >= to) return std::nullopt;
        if (std::ranges::find(excluded, at) == excluded.end()) return at;
        break;
      }
      --level;
      at <<= kFanBits;
    }
    ++at;
  }
  return std::nullopt;
}

}  // namespace weir
