#include "lb/balance/turns.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "lb/base/error.h"

namespace weir {
namespace {

/// 16,384 members of the largest weight; 16 MiB.
constexpr std::uint64_t kMaxLapTurns = std::uint64_t{1} << 22;
/// Slow start repeats the lap up to this many turns.
constexpr std::uint64_t kMaxSlowStartTurns = std::uint64_t{1} << 19;

std::vector<std::uint32_t> reduced(std::span<const std::uint32_t> weights) {
  std::uint32_t divisor = 0;
  std::uint64_t sum = 0;
  for (const std::uint32_t weight : weights) {
    WEIR_CHECK(weight > 0);
    divisor = std::gcd(divisor, weight);
    sum += weight;
  }
  std::vector<std::uint32_t> result(weights.begin(), weights.end());
  for (std::uint32_t& weight : result) weight /= divisor;
  sum = weights.empty() ? 0 : sum / divisor;
  if (sum > kMaxLapTurns) {
    for (std::uint32_t& weight : result) {
      weight = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(weight * kMaxLapTurns / sum));
    }
  }
  return result;
}

/// The members of one weight. They are served in rotation: they gain alike, so the richest is the one served
/// least, the first of those. Hence only the groups' next members need comparing.
struct WeightGroup {
  std::vector<std::uint32_t> members;
  std::size_t next = 0;
};

}  // namespace

std::vector<std::uint32_t> smooth_sequence(std::span<const std::uint32_t> weights) {
  const std::vector<std::uint32_t> shares = reduced(weights);
  std::map<std::uint32_t, WeightGroup> by_weight;
  for (std::uint32_t i = 0; i < shares.size(); ++i) by_weight[shares[i]].members.push_back(i);

  // A group's rank is its next member's wealth × members − that member's position: one comparison decides
  // wealth first and the earlier member among equals.
  const auto members = static_cast<std::int64_t>(shares.size());
  const auto sum = std::accumulate(shares.begin(), shares.end(), std::int64_t{0});
  std::vector<WeightGroup> groups;
  std::vector<std::int64_t> ranks;
  std::vector<std::int64_t> gains;
  for (auto& [weight, group] : by_weight) {
    ranks.push_back(-std::int64_t{group.members.front()});
    gains.push_back(weight * members);
    groups.push_back(std::move(group));
  }

  std::vector<std::uint32_t> sequence;
  sequence.reserve(static_cast<std::size_t>(sum));
  const std::size_t count = groups.size();
  for (std::int64_t turn = 0; turn < sum; ++turn) {
    std::size_t richest = 0;
    std::int64_t most = ranks[0] += gains[0];
    for (std::size_t i = 1; i < count; ++i) {
      const std::int64_t rank = ranks[i] += gains[i];
      richest = rank > most ? i : richest;
      most = std::max(rank, most);
    }
    WeightGroup& group = groups[richest];
    const std::uint32_t picked = group.members[group.next];
    sequence.push_back(picked);
    if (++group.next == group.members.size()) {
      group.next = 0;
      ranks[richest] -= sum * members;
    }
    ranks[richest] += std::int64_t{picked} - std::int64_t{group.members[group.next]};
  }
  return sequence;
}

Turns::Turns(std::span<const Member> members, const Turns* previous) : lap_(lap_of(members, previous)) {
  keep_eligible(members);
  if (previous != nullptr) start_place_ = place_after(*previous);
  if (turns_.empty()) return;
  start_place_ %= laps_ * lap_->sequence.size();
  const auto next =
      std::lower_bound(turns_.begin(), turns_.end(), start_place_,
                       [](const Turn& turn, std::uint64_t place) { return turn.place < place; });
  start_ = static_cast<std::uint64_t>(next - turns_.begin());
  cursor_.store(start_, std::memory_order_relaxed);
}

std::shared_ptr<const Turns::Lap> Turns::lap_of(std::span<const Member> members, const Turns* previous) {
  const bool same =
      previous != nullptr && previous->lap_->ids.size() == members.size() &&
      std::equal(members.begin(), members.end(), previous->lap_->ids.begin(),
                 [](const Member& member, BackendId id) { return member.id == id; }) &&
      std::equal(members.begin(), members.end(), previous->lap_->weights.begin(),
                 [](const Member& member, std::uint32_t weight) { return member.weight == weight; });
  if (same) return previous->lap_;
  auto lap = std::make_shared<Lap>();
  for (const Member& member : members) {
    lap->ids.push_back(member.id);
    lap->weights.push_back(member.weight);
  }
  lap->sequence = smooth_sequence(lap->weights);
  return lap;
}

void Turns::keep_eligible(std::span<const Member> members) {
  struct Keeper {
    bool eligible;
    std::uint32_t rank;
    std::uint64_t share;
    std::uint64_t credit;  ///< below `full`; gains `share` at each turn, and `full` of it buys the turn
  };
  // Shares are relative: when nobody has more than 50 %, 50 % is all of it.
  std::uint64_t full = 0;
  bool slow_start = false;
  for (const Member& member : members) {
    if (!member.eligible) continue;
    WEIR_CHECK(member.share_percent >= 1 && member.share_percent <= 100);
    slow_start = slow_start || (full != 0 && full != member.share_percent);
    full = std::max<std::uint64_t>(full, member.share_percent);
  }
  if (full == 0) return;

  const std::uint64_t lap_turns = lap_->sequence.size();
  if (slow_start) laps_ = std::clamp<std::uint64_t>(kMaxSlowStartTurns / lap_turns, 1, full);
  std::vector<Keeper> keepers;
  keepers.reserve(members.size());
  std::uint32_t rank = 0;
  for (const Member& member : members) {
    const std::uint64_t share = member.share_percent;
    // Different first credits, lest all that recover together take their turns in the same lap. One that
    // would get no turn at all takes its first.
    const bool none_due = laps_ * member.weight * share < full;
    const std::uint64_t credit =
        !member.eligible ? 0 : (none_due ? full - share : std::uint64_t{rank} * 61 % full);
    keepers.push_back({member.eligible, rank, share, credit});
    if (member.eligible) ++rank;
  }
  turns_.reserve(laps_ * lap_turns);
  std::uint32_t place = 0;
  for (std::uint64_t lap = 0; lap < laps_; ++lap) {
    for (const std::uint32_t position : lap_->sequence) {
      Keeper& keeper = keepers[position];
      ++place;
      if (!keeper.eligible) continue;
      keeper.credit += keeper.share;
      if (keeper.credit < full) continue;
      keeper.credit -= full;
      turns_.push_back({place - 1, keeper.rank});
    }
  }
}

std::uint64_t Turns::standing_place() const {
  // Behind the last turn taken, not at the next one: whoever stands between may be back in the next version.
  const std::uint64_t cursor = peek();
  return cursor == start_ ? start_place_ : turns_[(cursor - 1) % turns_.size()].place + std::uint64_t{1};
}

std::uint64_t Turns::place_after(const Turns& previous) const {
  const std::uint64_t place = previous.standing_place();
  if (lap_ == previous.lap_) return place;
  const std::uint64_t old_turns = previous.lap_->sequence.size();
  const std::uint64_t new_turns = lap_->sequence.size();
  if (old_turns == 0 || new_turns == 0) return 0;

  // Another lap: go on with the member that was next, at about the same part of the lap.
  std::map<BackendId, std::uint32_t> position_of;
  for (std::uint32_t i = 0; i < lap_->ids.size(); ++i) position_of[lap_->ids[i]] = i;
  const std::uint64_t about = place % old_turns * new_turns / old_turns;
  for (std::uint64_t i = 0; i < old_turns; ++i) {
    const std::uint32_t due = previous.lap_->sequence[(place + i) % old_turns];
    const auto found = position_of.find(previous.lap_->ids[due]);
    if (found == position_of.end()) continue;
    for (std::uint64_t j = 0; j < new_turns; ++j) {
      const std::uint64_t candidate = (about + j) % new_turns;
      if (lap_->sequence[candidate] == found->second) return candidate;
    }
  }
  return about;
}

}  // namespace weir
