#include "lb/balance/draw.h"

#include <algorithm>

namespace weir {

std::uint64_t Draw::Hand::below(std::uint64_t bound) {
  // A bound is far below 2^46 (a billion weights of 25,600), so that no number is likelier by more than
  // 2^-18.
  seed_ = mix64(seed_ + 0x9e3779b97f4a7c15u);
  return seed_ % bound;
}

Draw::Rank Draw::Hand::first() {
  const auto found = std::ranges::upper_bound(draw_.ends_, below(draw_.total_));
  return static_cast<Rank>(found - draw_.ends_.begin());
}

std::optional<Draw::Rank> Draw::Hand::other(Rank last) {
  const std::uint64_t weight = draw_.roster_[last].weight_in_force();
  if (draw_.total_ == weight) return std::nullopt;
  std::uint64_t at = below(draw_.total_ - weight);
  if (at >= draw_.ends_[last] - weight) at += weight;
  const auto found = std::ranges::upper_bound(draw_.ends_, at);
  return static_cast<Rank>(found - draw_.ends_.begin());
}

}  // namespace weir
