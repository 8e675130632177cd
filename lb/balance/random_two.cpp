#include <fmt/format.h>

#include "lb/balance/balancer.h"
#include "lb/balance/draw.h"
#include "lb/balance/roster.h"
#include "lb/base/counted.h"

namespace weir {
namespace {

/// Two different ones are drawn by weight, and the one with fewer sessions for its weight is taken (Azar et
/// al., "Balanced Allocations"; Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"):
/// nearly as even as the fewest of all, and many balancers before one fleet do not all run to the same
/// backend.
class RandomTwo final : public Balancer {
 public:
  explicit RandomTwo(std::span<const Member> members) : roster_(members), draw_(roster_) {}

  std::optional<BackendIndex> pick(const PickInput& input) const override {
    if (roster_.empty()) return std::nullopt;
    const auto rank = chosen(draw_.take(), input, nullptr);
    return rank ? std::optional(roster_[*rank].index) : std::nullopt;
  }

  std::optional<BackendIndex> explain(const PickInput& input,
                                      std::vector<std::string>& because) const override {
    const auto rank = roster_.empty() ? std::nullopt : chosen(draw_.peek(), input, &because);
    if (rank) return roster_[*rank].index;
    because.emplace_back("random_two: nobody is left to draw");
    return std::nullopt;
  }

 private:
  /// Draws before somebody is looked for in order: most are full, or tried.
  static constexpr int kDraws = 4;

  /// `because`: null when nobody asks why.
  std::optional<Roster::Rank> chosen(Draw::Hand hand, const PickInput& input,
                                     std::vector<std::string>* because) const {
    Roster::Rank one = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      one = hand.first();
      const std::optional<Roster::Rank> two = hand.other(one);
      if (because != nullptr) tell(one, two, input, *because);
      const bool first = roster_.may_serve(one, input);
      const bool second = two && roster_.may_serve(*two, input);
      if (first && second) return is_busier(one, *two) ? *two : one;
      if (first) return one;
      if (second) return two;
    }
    const auto rank = roster_.next(one, input);
    if (because != nullptr && rank)
      because->push_back(fmt::format("the next that may serve is {}", roster_[*rank].load->name));
    return rank;
  }

  bool is_busier(Roster::Rank one, Roster::Rank two) const {
    const auto sessions = [this](Roster::Rank rank) {
      return std::uint64_t{roster_[rank].load->active.load(std::memory_order_relaxed)};
    };
    return sessions(one) * roster_[two].weight_in_force() > sessions(two) * roster_[one].weight_in_force();
  }

  void tell(Roster::Rank one, std::optional<Roster::Rank> two, const PickInput& input,
            std::vector<std::string>& because) const {
    const auto line = [&](Roster::Rank rank) {
      const Roster::Seat& seat = roster_[rank];
      const std::string passed_over = why_passed_over(seat, input);
      because.push_back(fmt::format("random_two: draws {}, with {} for weight {}{}", seat.load->name,
                                    counted(seat.load->active.load(std::memory_order_relaxed), "session"),
                                    seat.weight, passed_over.empty() ? "" : "; " + passed_over));
    };
    line(one);
    if (two) line(*two);
  }

  Roster roster_;
  Draw draw_;
};

}  // namespace

std::unique_ptr<Balancer> build_random_two(std::span<const Member> members, const BalancerTerms& /*terms*/,
                                           const Balancer* /*previous*/) {
  return std::make_unique<RandomTwo>(members);
}

}  // namespace weir
