#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lb/balance/balancer.h"

namespace weir {

/// One lap of smooth weighted round robin (the algorithm of nginx: every turn each member gains its weight,
/// the richest, the first of equals, is picked and pays the sum of all): positions in `weights`, whose common
/// divisor is taken out first. Weights 5/1/1 give 0 0 1 0 2 0 0. Takes turns × distinct weights steps. Beyond
/// 2^22 turns the weights are scaled down to fit, each to at least 1.
std::vector<std::uint32_t> smooth_sequence(std::span<const std::uint32_t> weights);

/// Whose turn it is in one group. The order is one smooth lap over *all* members; the eligible ones take
/// their turns from it and the others' are left out. So proportions are exact, a health transition costs one
/// pass, and one place in one lap can be carried on through any number of changes: no flapping favours
/// anyone. The price: with several members of different weights left out, the rest may stand less evenly than
/// in a lap of their own.
///
/// A member in slow start keeps that percentage of its turns, evenly, over as many laps as that takes (fewer
/// when the laps are long: about that percentage, and at least one turn).
///
/// Members are named by their rank among the eligible ones, in the order given. Built on the control thread,
/// thread-safe after that.
class Turns {
 public:
  /// Carries on where `previous` (may be null, may be in use meanwhile) stands. Turns that other threads take
  /// from it between this moment and their adopting the new one are not seen here: those few come twice.
  Turns(std::span<const Member> members, const Turns* previous);

  bool empty() const { return turns_.empty(); }
  std::uint64_t size() const { return turns_.size(); }  ///< turns until the order repeats

  std::uint64_t take() const { return cursor_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t peek() const { return cursor_.load(std::memory_order_relaxed); }
  /// Makes `next` the next turn if `seen` still is; tells whether it was.
  bool move(std::uint64_t seen, std::uint64_t next) const {
    return cursor_.compare_exchange_strong(seen, next, std::memory_order_relaxed);
  }
  /// The eligible member that `turn` belongs to. Not for an empty one.
  std::uint32_t member_at(std::uint64_t turn) const { return turns_[turn % turns_.size()].member; }

 private:
  struct Turn {
    std::uint32_t place;  ///< in the laps over all members
    std::uint32_t member;
  };
  struct Lap {
    std::vector<std::uint32_t> weights;
    std::vector<BackendId> ids;
    std::vector<std::uint32_t> sequence;
  };

  static std::shared_ptr<const Lap> lap_of(std::span<const Member> members, const Turns* previous);
  void keep_eligible(std::span<const Member> members);
  std::uint64_t standing_place() const;
  std::uint64_t place_after(const Turns& previous) const;

  /// Shared by all versions of a group in which neither membership nor weights changed: it can be megabytes
  /// and tens of milliseconds.
  std::shared_ptr<const Lap> lap_;
  std::uint64_t laps_ = 1;
  std::uint64_t start_ = 0;        ///< the cursor at first
  std::uint64_t start_place_ = 0;  ///< the place that was carried on to
  std::vector<Turn> turns_;
  /// On a cache line of its own: every pick writes it and reads what is above.
  alignas(64) mutable std::atomic<std::uint64_t> cursor_{0};
};

}  // namespace weir
