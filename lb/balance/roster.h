#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lb/balance/balancer.h"
#include "lb/balance/load_ranking.h"

namespace weir {

/// The eligible members of a group, in its order, and which of them may serve a session: those that it has
/// not tried and that have room. Built on the control thread, thread-safe after that; nothing blocks or
/// allocates.
class Roster {
 public:
  using Rank = LoadRanking::Rank;

  struct Seat {
    BackendIndex index;
    BackendId id;
    const BackendLoad* load;
    std::uint32_t weight;         ///< 1..256
    std::uint32_t share_percent;  ///< 1..100

    std::uint32_t weight_in_force() const { return weight * share_percent; }  ///< in hundredths
  };

  /// `ranked`: a LoadRanking is kept even where nobody is limited.
  explicit Roster(std::span<const Member> members, bool ranked = false);

  std::size_t size() const { return seats_.size(); }
  bool empty() const { return seats_.empty(); }
  const Seat& operator[](Rank rank) const { return seats_[rank]; }
  const std::vector<Seat>& seats() const { return seats_; }
  /// Somebody may be full.
  bool limited() const { return limited_; }

  bool may_serve(Rank rank, const PickInput& input) const {
    const Seat& seat = seats_[rank];
    return !input.has_tried(seat.id) && (!limited_ || seat.load->has_room());
  }
  /// The first that may serve, at or after `from` and round to it again. Beyond kMostScanned members some 100
  /// ns, whoever is full.
  std::optional<Rank> next(Rank from, const PickInput& input) const;

  /// Up to here all are asked at each pick; beyond, a LoadRanking knows what has changed.
  static constexpr std::size_t kMostScanned = 128;

  /// Null when there are few.
  const LoadRanking* ranking() const { return ranking_.get(); }

  /// The ranks of those that have been tried, for the ranking.
  class Excluded {
   public:
    /// With more than this all are asked.
    static constexpr std::size_t kMost = 16;
    bool too_many() const { return too_many_; }
    std::span<const Rank> get() const { return {ranks_.data(), count_}; }

   private:
    friend Roster;
    std::array<Rank, kMost> ranks_;
    std::size_t count_ = 0;
    bool too_many_ = false;
  };
  Excluded excluded_by(const PickInput& input) const;

 private:
  std::vector<Seat> seats_;
  bool limited_ = false;
  std::unique_ptr<const LoadRanking> ranking_;
  std::vector<std::pair<BackendId, Rank>> by_id_;  ///< sorted; empty when there are few
};

/// "b1 has been tried already", "b1 is full (10 of 10 sessions)"; "" when it may serve.
std::string why_passed_over(const Roster::Seat& seat, const PickInput& input);

}  // namespace weir
