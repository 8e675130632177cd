#include <fmt/format.h>

#include <numeric>

#include "lb/balance/balancer.h"
#include "lb/balance/turns.h"

namespace weir {
namespace {

/// How far a tie looks ahead in the sequence: the whole of it when the weights add up to no more. A pick must
/// stay below 2 µs; beyond, the tied ones take turns in the file's order.
constexpr std::uint64_t kMaxTurnsAhead = 1024;

/// How many lines explain() spends on the least busy.
constexpr std::size_t kExplained = 5;

/// Fewest sessions for its weight. The counts are BackendLoad::active, shared by all workers; a session is
/// counted by its Lease, a moment after its pick. Two workers that pick within that moment may both choose
/// the least busy one: off by one session for each worker at worst, and only until the next pick. Ties are
/// exact even then, since each of them takes a turn.
class LeastConnections final : public Balancer {
 public:
  LeastConnections(std::span<const Member> members, const LeastConnections* previous)
      : turns_(members, previous != nullptr ? &previous->turns_ : nullptr) {
    for (const Member& member : members) {
      if (!member.eligible) continue;
      candidates_.push_back({&member.load->active, member.weight * member.share_percent});
      seats_.push_back({member.index, member.id, member.load, member.weight});
    }
  }

  std::optional<BackendIndex> pick(const PickInput& input) const override {
    const Least least = scan(input);
    if (least.ties == 0) return std::nullopt;
    if (least.ties == 1) return seats_[least.candidate].index;
    // Another worker's tie may move the cursor meanwhile; the last attempt does without.
    constexpr int kAttempts = 4;
    std::uint32_t chosen = least.candidate;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const std::uint64_t seen = turns_.peek();
      const std::uint64_t turn = tied_turn(least, input, seen);
      chosen = turn == kNoTurn ? tied_in_rotation(least, input, seen) : turns_.member_at(turn);
      if (turns_.move(seen, turn == kNoTurn ? seen + 1 : turn + 1)) break;
    }
    return seats_[chosen].index;
  }

  std::optional<BackendIndex> explain(const PickInput& input,
                                      std::vector<std::string>& because) const override;

 private:
  /// What the scan reads, and no more: with 1,000 of them it is the cache that counts.
  struct Candidate {
    const std::atomic<std::uint32_t>* active;
    std::uint32_t weight;  ///< in hundredths: slow start takes its part
  };
  struct Seat {
    BackendIndex index;
    BackendId id;
    const BackendLoad* load;
    std::uint32_t full_weight;
  };
  struct Least {
    std::uint32_t candidate = 0;
    std::uint64_t sessions = 0;
    std::uint64_t weight = 0;
    std::uint32_t ties = 0;  ///< 0: nobody is left
  };
  static constexpr std::uint64_t kNoTurn = ~std::uint64_t{0};

  Least scan(const PickInput& input) const {
    return input.tried.empty() ? scan<false>(input) : scan<true>(input);
  }
  template <bool kRetry>
  Least scan(const PickInput& input) const;

  /// Still as little busy as `least` was when it was scanned.
  bool ties_with(const Least& least, std::uint32_t member, const PickInput& input) const {
    const Candidate& candidate = candidates_[member];
    const std::uint64_t sessions = candidate.active->load(std::memory_order_relaxed);
    return sessions * least.weight <= least.sessions * candidate.weight &&
           !input.has_tried(seats_[member].id);
  }

  std::uint64_t tied_turn(const Least& least, const PickInput& input, std::uint64_t from) const {
    const std::uint64_t ahead = std::min(turns_.size(), kMaxTurnsAhead);
    for (std::uint64_t turn = from; turn != from + ahead; ++turn) {
      if (ties_with(least, turns_.member_at(turn), input)) return turn;
    }
    return kNoTurn;
  }

  /// The tied ones in rotation, when none of them has a turn near.
  std::uint32_t tied_in_rotation(const Least& least, const PickInput& input, std::uint64_t turn) const {
    std::uint64_t skip = turn % least.ties;
    std::uint32_t last = least.candidate;
    for (std::uint32_t i = least.candidate; i < candidates_.size(); ++i) {
      if (!ties_with(least, i, input)) continue;
      last = i;
      if (skip-- == 0) break;
    }
    return last;
  }

  std::vector<Candidate> candidates_;  ///< the eligible members
  std::vector<Seat> seats_;            ///< the same
  Turns turns_;
};

template <bool kRetry>
LeastConnections::Least LeastConnections::scan(const PickInput& input) const {
  // sessions / weight < least.sessions / least.weight, without the divisions: below 2^32 × 25,600 each.
  Least least{0, 1, 0, 0};  // 1/0: busier than anyone
  const auto count = static_cast<std::uint32_t>(candidates_.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    const Candidate& candidate = candidates_[i];
    const std::uint64_t sessions = candidate.active->load(std::memory_order_relaxed);
    const std::uint64_t mine = sessions * least.weight;
    const std::uint64_t best = least.sessions * candidate.weight;
    if (mine > best) continue;
    if constexpr (kRetry) {
      if (input.has_tried(seats_[i].id)) continue;
    }
    if (mine < best) {
      least = {i, sessions, candidate.weight, 1};
    } else {
      ++least.ties;
    }
  }
  return least;
}

std::optional<BackendIndex> LeastConnections::explain(const PickInput& input,
                                                      std::vector<std::string>& because) const {
  const Least least = scan(input);
  if (least.ties == 0) {
    because.emplace_back("least_connections: nobody is left to choose from");
    return std::nullopt;
  }
  struct Line {
    const Candidate* candidate;
    const Seat* seat;
    std::uint64_t sessions;
  };
  std::vector<Line> lines;  // the counts are read once: they move while we sort
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    lines.push_back({&candidates_[i], &seats_[i], candidates_[i].active->load(std::memory_order_relaxed)});
  }
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return a.sessions * b.candidate->weight < b.sessions * a.candidate->weight;
  });
  for (std::size_t i = 0; i < std::min(kExplained, lines.size()); ++i) {
    const auto& [candidate, seat, sessions] = lines[i];
    const std::uint32_t percent = candidate->weight / seat->full_weight;
    because.push_back(fmt::format("least_connections: {} has {} session{} for weight {}{}{}",
                                  seat->load->name, sessions, sessions == 1 ? "" : "s", seat->full_weight,
                                  percent < 100 ? fmt::format(" at {} % (slow start)", percent) : "",
                                  input.has_tried(seat->id) ? " and has been tried already" : ""));
  }
  if (lines.size() > kExplained) {
    because.push_back(fmt::format("least_connections: {} more are no less busy", lines.size() - kExplained));
  }
  if (least.ties == 1) return seats_[least.candidate].index;

  const std::uint64_t seen = turns_.peek();
  const std::uint64_t turn = tied_turn(least, input, seen);
  const std::uint32_t chosen =
      turn == kNoTurn ? tied_in_rotation(least, input, seen) : turns_.member_at(turn);
  because.push_back(fmt::format("{} are equally busy: {} is next in the round-robin sequence", least.ties,
                                seats_[chosen].load->name));
  return seats_[chosen].index;
}

}  // namespace

std::unique_ptr<Balancer> build_least_connections(std::span<const Member> members, const Balancer* previous) {
  return std::make_unique<LeastConnections>(members, dynamic_cast<const LeastConnections*>(previous));
}

}  // namespace weir
