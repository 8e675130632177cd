#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "lb/balance/rendezvous.h"
#include "lb/balance/roster.h"

namespace weir {

/// Draws members of a roster by chance, each as often as its weight says. Thread-safe; what is drawn is one
/// sequence of hands for all threads, of which peek() shows the next.
class Draw {
 public:
  using Rank = Roster::Rank;

  /// `roster` outlives it. Begins somewhere: several Weirs before one fleet are not to draw alike.
  explicit Draw(const Roster& roster) : roster_(roster), cursor_(std::random_device()()) {
    for (const Roster::Seat& seat : roster.seats()) ends_.push_back(total_ += seat.weight_in_force());
  }

  /// One draw of up to several members, each different from the one before.
  class Hand {
   public:
    Rank first();
    /// Another than `last`; nothing when there is no other.
    std::optional<Rank> other(Rank last);

   private:
    friend Draw;
    Hand(const Draw& draw, std::uint64_t seed) : draw_(draw), seed_(seed) {}
    std::uint64_t below(std::uint64_t bound);

    const Draw& draw_;
    std::uint64_t seed_;
  };

  /// Not for an empty roster.
  Hand take() const { return {*this, cursor_.fetch_add(1, std::memory_order_relaxed)}; }
  Hand peek() const { return {*this, cursor_.load(std::memory_order_relaxed)}; }

 private:
  const Roster& roster_;
  std::vector<std::uint64_t> ends_;  ///< of each member's part of [0, total_)
  std::uint64_t total_ = 0;
  /// On a cache line of its own: every pick writes it.
  alignas(64) mutable std::atomic<std::uint64_t> cursor_;
};

}  // namespace weir
