#include "lb/balance/roster.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir {

Roster::Roster(std::span<const Member> members, bool ranked) {
  std::vector<Member> eligible;
  for (const Member& member : members) {
    if (!member.eligible) continue;
    eligible.push_back(member);
    seats_.push_back({member.index, member.id, member.load, member.weight, member.share_percent});
    limited_ = limited_ || member.limited;
  }
  if (eligible.size() <= kMostScanned || !(ranked || limited_)) return;
  ranking_ = std::make_unique<const LoadRanking>(eligible);
  for (Rank rank = 0; rank < seats_.size(); ++rank) by_id_.emplace_back(seats_[rank].id, rank);
  std::ranges::sort(by_id_);
}

std::optional<Roster::Rank> Roster::next(Rank from, const PickInput& input) const {
  if (ranking_ != nullptr) {
    if (const Excluded excluded = excluded_by(input); !excluded.too_many()) {
      ranking_->catch_up();
      return ranking_->next_with_room(from, excluded.get());
    }
  }
  const auto count = static_cast<Rank>(seats_.size());
  for (Rank i = 0; i < count; ++i) {
    const Rank rank = from + i < count ? from + i : from + i - count;
    if (may_serve(rank, input)) return rank;
  }
  return std::nullopt;
}

Roster::Excluded Roster::excluded_by(const PickInput& input) const {
  Excluded excluded;
  for (const BackendId id : input.tried) {
    const auto found = std::ranges::lower_bound(by_id_, std::pair{id, Rank{0}});
    if (found == by_id_.end() || found->first != id) continue;
    excluded.too_many_ = excluded.count_ == Excluded::kMost;
    if (excluded.too_many_) break;
    excluded.ranks_[excluded.count_++] = found->second;
  }
  return excluded;
}

std::string why_passed_over(const Roster::Seat& seat, const PickInput& input) {
  const BackendLoad& load = *seat.load;
  if (input.has_tried(seat.id)) return fmt::format("{} has been tried already", load.name);
  if (!load.has_room()) return fmt::format("{} is full (max_sessions = {})", load.name, load.max_sessions());
  return "";
}

}  // namespace weir
