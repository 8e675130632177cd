#pragma once

#include <cstdint>
#include <string_view>

namespace weir {

/// How strongly one backend claims each of 2^bits slots: weighted rendezvous hashing, in which the slot goes
/// to the claim that comes earliest. A claim depends on nothing but name, weight, slot and `bits`, and is
/// computed in integers, so that every machine agrees. A value.
///
/// The backend puts all slots into an order of its own (a permutation keyed by its name); the slot of rank r
/// is claimed at time -log2(1 - (r + 1/2) / 2^bits) / weight. Exponential times are what makes the part each
/// backend wins exactly proportional to its weight. A permutation in place of a plain hash can be read both
/// ways: when a slot is claimed, and which slots are claimed up to some time. The latter makes a whole table
/// cheap: only the early claims need looking at.
class Claim {
 public:
  Claim(std::string_view name, std::uint32_t weight, unsigned bits);

  std::uint32_t weight() const { return weight_; }

  std::uint32_t slot_of(std::uint32_t rank) const;
  std::uint32_t rank_of(std::uint32_t slot) const;
  std::uint64_t time_of_rank(std::uint32_t rank) const;  ///< 56 bits of fraction; grows with rank
  std::uint64_t time(std::uint32_t slot) const { return time_of_rank(rank_of(slot)); }

  /// Decides between claims of equal time; never equal for different names (but for one pair in 2^64).
  std::uint64_t lot(std::uint32_t slot) const;

 private:
  struct Round {
    std::uint32_t addend;
    std::uint32_t factor;   ///< odd
    std::uint32_t inverse;  ///< of factor, modulo 2^32
  };
  static constexpr int kRounds = 3;

  Round rounds_[kRounds];
  std::uint32_t mask_;
  std::uint32_t bits_;
  std::uint32_t weight_;
  std::uint32_t pace_;  ///< 2^24 / weight
  std::uint64_t key_;
};

/// A bijection of 64 bits in which every input bit moves every output bit (the finalizer of Sebastiano
/// Vigna's splitmix64, after David Stafford's "variant 13").
constexpr std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace weir
