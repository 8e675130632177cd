#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lb/balance/balancer.h"
#include "lb/balance/draw.h"
#include "lb/balance/roster.h"
#include "lb/base/counted.h"

namespace weir {
namespace {

/// Up to so many members all are compared; of more, as many are drawn by weight and compared.
constexpr std::size_t kMostCompared = 128;
constexpr std::size_t kDrawn = 16;

/// Faster than that nobody counts as.
constexpr double kLeastMicros = 50;

constexpr std::size_t kExplained = 5;

/// Fewest sessions for the weight, times how long the backend takes to its first byte of late (SmoothedTime).
/// One of which nothing is known yet counts as the average of those that are compared with it.
class LeastTime final : public Balancer {
 public:
  explicit LeastTime(std::span<const Member> members) : roster_(members), draw_(roster_) {
    for (const Member& member : members) member.load->smooth_first_bytes();
  }

  std::optional<BackendIndex> pick(const PickInput& input) const override {
    const Compared compared = candidates(input, &Draw::take);
    const auto best = least(compared, input.now_ms);
    return best ? std::optional(roster_[*best].index) : std::nullopt;
  }

  std::optional<BackendIndex> explain(const PickInput& input,
                                      std::vector<std::string>& because) const override {
    Compared compared = candidates(input, &Draw::peek);
    const auto best = least(compared, input.now_ms);
    if (!best) {
      because.emplace_back("least_time: nobody is left to choose from");
      return std::nullopt;
    }
    const double average = average_of(compared, input.now_ms);
    std::ranges::stable_sort(compared.ranks.begin(), compared.ranks.begin() + compared.count, {},
                             [&](Roster::Rank rank) { return cost(rank, average, input.now_ms); });
    for (std::size_t i = 0; i < std::min(kExplained, compared.count); ++i) {
      const Roster::Seat& seat = roster_[compared.ranks[i]];
      const auto time = seat.load->first_byte_of_late.at(input.now_ms);
      because.push_back(fmt::format("least_time: {} has {} for weight {}, and {}", seat.load->name,
                                    counted(seat.load->active.load(std::memory_order_relaxed), "session"),
                                    seat.weight,
                                    time ? fmt::format("takes {:.1f} ms to its first byte", *time / 1000)
                                         : "nothing is known of its times yet"));
    }
    if (compared.count < roster_.size())
      because.push_back(fmt::format("least_time: {} of {} were compared", compared.count, roster_.size()));
    return roster_[*best].index;
  }

 private:
  struct Compared {
    std::array<Roster::Rank, kMostCompared> ranks;
    std::size_t count = 0;

    void add(Roster::Rank rank) { ranks[count++] = rank; }
  };

  /// `deal`: how a hand is had, where one is needed.
  Compared candidates(const PickInput& input, Draw::Hand (Draw::*deal)() const) const {
    Compared out;
    if (roster_.size() <= kMostCompared) {
      for (Roster::Rank rank = 0; rank < roster_.size(); ++rank)
        if (roster_.may_serve(rank, input)) out.add(rank);
      return out;
    }
    Draw::Hand hand = (draw_.*deal)();
    Roster::Rank last = 0;
    for (std::size_t draw = 0; draw < kDrawn; ++draw) {
      last = hand.first();
      if (roster_.may_serve(last, input)) out.add(last);
    }
    if (out.count > 0) return out;
    if (const auto rank = roster_.next(last, input)) out.add(*rank);
    return out;
  }

  std::optional<Roster::Rank> least(const Compared& compared, std::uint64_t now_ms) const {
    if (compared.count == 0) return std::nullopt;
    const double average = average_of(compared, now_ms);
    return *std::ranges::min_element(compared.ranks.begin(), compared.ranks.begin() + compared.count, {},
                                     [&](Roster::Rank rank) { return cost(rank, average, now_ms); });
  }

  /// Of those of whom something is known.
  double average_of(const Compared& compared, std::uint64_t now_ms) const {
    double sum = 0;
    int known = 0;
    for (std::size_t i = 0; i < compared.count; ++i)
      if (const auto time = roster_[compared.ranks[i]].load->first_byte_of_late.at(now_ms)) {
        sum += *time;
        ++known;
      }
    return known > 0 ? sum / known : kLeastMicros;
  }

  double cost(Roster::Rank rank, double average, std::uint64_t now_ms) const {
    const Roster::Seat& seat = roster_[rank];
    const double time = std::max(kLeastMicros, seat.load->first_byte_of_late.at(now_ms).value_or(average));
    return (seat.load->active.load(std::memory_order_relaxed) + 1.0) * time / seat.weight_in_force();
  }

  Roster roster_;
  Draw draw_;
};

}  // namespace

std::unique_ptr<Balancer> build_least_time(std::span<const Member> members, const BalancerTerms& /*terms*/,
                                           const Balancer* /*previous*/) {
  return std::make_unique<LeastTime>(members);
}

}  // namespace weir
