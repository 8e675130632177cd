#include <fmt/format.h>

#include "lb/balance/balancer.h"
#include "lb/balance/roster.h"
#include "lb/balance/turns.h"

namespace weir {
namespace {

/// How many turns of others a session looks through for one who may serve it. Beyond, whoever comes next in
/// the group's order: with most of many full, or tried, that is as good.
constexpr std::uint64_t kTurnsAhead = 64;

/// Smooth weighted round robin, exact over all workers: a pick is one atomic increment and one read. The
/// turns of those that are full go to whoever is next.
class RoundRobin final : public Balancer {
 public:
  RoundRobin(std::span<const Member> members, const RoundRobin* previous)
      : roster_(members), turns_(members, previous != nullptr ? &previous->turns_ : nullptr) {}

  std::optional<BackendIndex> pick(const PickInput& input) const override {
    if (roster_.empty()) return std::nullopt;
    const auto rank = rank_from(turns_.take(), input);
    return rank ? std::optional(roster_[*rank].index) : std::nullopt;
  }

  std::optional<BackendIndex> explain(const PickInput& input,
                                      std::vector<std::string>& because) const override {
    if (roster_.empty()) {
      because.emplace_back("round_robin: nobody is left to take a turn");
      return std::nullopt;
    }
    const std::uint64_t turn = turns_.peek();
    because.push_back(fmt::format("round_robin: turn {} of {}", turn % turns_.size() + 1, turns_.size()));
    const auto rank = rank_from(turn, input);
    const std::uint64_t chosen = turn_of(rank, turn);
    const Roster::Seat* told = nullptr;  // so that turns in a row are told once
    for (std::uint64_t passed = turn; passed < std::min(chosen, turn + kTurnsTold); ++passed) {
      const Roster::Seat& seat = roster_[turns_.member_at(passed)];
      if (const std::string why = why_passed_over(seat, input); told != &seat && !why.empty())
        because.push_back(why);
      told = &seat;
    }
    if (!rank) {
      because.emplace_back("round_robin: nobody else is left to take a turn");
      return std::nullopt;
    }
    const std::string& name = roster_[*rank].load->name;
    because.push_back(chosen < turn + kTurnsAhead
                          ? fmt::format("turn {} belongs to {}", chosen % turns_.size() + 1, name)
                          : fmt::format("the next that may serve is {}", name));
    return roster_[*rank].index;
  }

 private:
  /// How many turns of others explain() tells of.
  static constexpr std::uint64_t kTurnsTold = 16;

  /// Whoever may serve the session whose turn that is.
  std::optional<Roster::Rank> rank_from(std::uint64_t turn, const PickInput& input) const {
    Roster::Rank rank = turns_.member_at(turn);
    if (roster_.may_serve(rank, input)) return rank;
    const std::uint64_t ahead = std::min(kTurnsAhead, turns_.size());
    for (std::uint64_t i = 1; i < ahead; ++i) {
      rank = turns_.member_at(turn + i);
      if (roster_.may_serve(rank, input)) return rank;
    }
    return roster_.next(rank, input);
  }

  /// The first turn of `rank` at or after `turn`; far ahead when there is none near.
  std::uint64_t turn_of(std::optional<Roster::Rank> rank, std::uint64_t turn) const {
    std::uint64_t ahead = 0;
    while (ahead < kTurnsAhead && (!rank || turns_.member_at(turn + ahead) != *rank)) ++ahead;
    return turn + ahead;
  }

  Roster roster_;
  Turns turns_;
};

}  // namespace

std::unique_ptr<Balancer> build_round_robin(std::span<const Member> members, const BalancerTerms& /*terms*/,
                                            const Balancer* previous) {
  return std::make_unique<RoundRobin>(members, dynamic_cast<const RoundRobin*>(previous));
}

}  // namespace weir
