#include <fmt/format.h>

#include "lb/balance/balancer.h"
#include "lb/balance/roster.h"

namespace weir {
namespace {

/// The first in the file's order that has room: fills one after another, so that a fleet can shrink from its
/// end. Weights mean nothing.
class First final : public Balancer {
 public:
  explicit First(std::span<const Member> members) : roster_(members) {}

  std::optional<BackendIndex> pick(const PickInput& input) const override {
    const auto rank = roster_.next(0, input);
    return rank ? std::optional(roster_[*rank].index) : std::nullopt;
  }

  std::optional<BackendIndex> explain(const PickInput& input,
                                      std::vector<std::string>& because) const override {
    const auto rank = roster_.next(0, input);
    const auto before = rank.value_or(static_cast<Roster::Rank>(roster_.size()));
    for (Roster::Rank passed = 0; passed < std::min(before, kTold); ++passed)
      because.push_back("first: " + why_passed_over(roster_[passed], input));
    if (!rank) {
      because.emplace_back("first: nobody is left that has room");
      return std::nullopt;
    }
    because.push_back(
        fmt::format("first: {} is the first in the file's order that has room", roster_[*rank].load->name));
    return roster_[*rank].index;
  }

 private:
  /// Of how many that are passed over explain() tells.
  static constexpr Roster::Rank kTold = 16;

  Roster roster_;
};

}  // namespace

std::unique_ptr<Balancer> build_first(std::span<const Member> members, const BalancerTerms& /*terms*/,
                                      const Balancer* /*previous*/) {
  return std::make_unique<First>(members);
}

}  // namespace weir
