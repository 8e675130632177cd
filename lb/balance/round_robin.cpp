#include <fmt/format.h>

#include "lb/balance/balancer.h"
#include "lb/balance/turns.h"

namespace weir {
namespace {

/// Smooth weighted round robin, exact over all workers: a pick is one atomic increment and one read.
class RoundRobin final : public Balancer {
 public:
  RoundRobin(std::span<const Member> members, const RoundRobin* previous)
      : turns_(members, previous != nullptr ? &previous->turns_ : nullptr) {
    for (const Member& member : members) {
      if (member.eligible) seats_.push_back({member.index, member.id, member.load});
    }
  }

  std::optional<BackendIndex> pick(const PickInput& input) const override {
    if (seats_.empty() || all_tried(input)) return std::nullopt;
    std::uint64_t turn = turns_.take();
    while (input.has_tried(seat_at(turn).id)) ++turn;
    return seat_at(turn).index;
  }

  std::optional<BackendIndex> explain(const PickInput& input,
                                      std::vector<std::string>& because) const override {
    if (seats_.empty() || all_tried(input)) {
      because.emplace_back("round_robin: nobody is left to take a turn");
      return std::nullopt;
    }
    std::uint64_t turn = turns_.peek();
    because.push_back(fmt::format("round_robin: turn {} of {}", turn % turns_.size() + 1, turns_.size()));
    const Seat* tried = nullptr;  // the last one named, so that turns in a row are told once
    while (input.has_tried(seat_at(turn).id)) {
      const Seat& seat = seat_at(turn++);
      if (tried != &seat) because.push_back(fmt::format("{} has been tried already", seat.load->name));
      tried = &seat;
    }
    because.push_back(
        fmt::format("turn {} belongs to {}", turn % turns_.size() + 1, seat_at(turn).load->name));
    return seat_at(turn).index;
  }

 private:
  struct Seat {
    BackendIndex index;
    BackendId id;
    const BackendLoad* load;
  };

  const Seat& seat_at(std::uint64_t turn) const { return seats_[turns_.member_at(turn)]; }

  /// Every eligible member has at least one turn, so that a walk ends when this is false.
  bool all_tried(const PickInput& input) const {
    return input.tried.size() >= seats_.size() &&
           std::all_of(seats_.begin(), seats_.end(),
                       [&](const Seat& seat) { return input.has_tried(seat.id); });
  }

  std::vector<Seat> seats_;  ///< the eligible members
  Turns turns_;
};

}  // namespace

std::unique_ptr<Balancer> build_round_robin(std::span<const Member> members, const Balancer* previous) {
  return std::make_unique<RoundRobin>(members, dynamic_cast<const RoundRobin*>(previous));
}

}  // namespace weir
