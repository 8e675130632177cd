#include <fmt/format.h>

#include <algorithm>

#include "lb/balance/balancer.h"
#include "lb/balance/roster.h"
#include "lb/balance/turns.h"
#include "lb/base/counted.h"

namespace weir {
namespace {

/// How far a tie looks ahead in the sequence: the whole of it when the weights add up to no more. A pick must
/// stay below 1 µs; beyond, the tied ones take turns in the file's order.
constexpr std::uint64_t kMaxTurnsAhead = 1024;
/// The same where the sequence is longer than that.
constexpr std::uint64_t kTurnsAheadOfMany = 128;

/// How many lines explain() spends on the least busy.
constexpr std::size_t kExplained = 5;

/// Fewest sessions for its weight. The counts are BackendLoad::active, shared by all workers; a session is
/// counted by its Lease, a moment after its pick. Two workers that pick within that moment may both choose
/// the least busy one: off by one session for each worker at worst, and only until the next pick. Ties are
/// exact even then, since each of them takes a turn.
class LeastConnections final : public Balancer {
 public:
  LeastConnections(std::span<const Member> members, const LeastConnections* previous)
      : roster_(members, true), turns_(members, previous != nullptr ? &previous->turns_ : nullptr) {
    for (const Roster::Seat& seat : roster_.seats())
      candidates_.push_back({&seat.load->active, seat.weight_in_force()});
    in_order_ = roster_.ranking() != nullptr && turns_.size() == roster_.size();
    for (std::uint32_t i = 0; in_order_ && i < roster_.size(); ++i) in_order_ = turns_.member_at(i) == i;
  }

  std::optional<BackendIndex> pick(const PickInput& input) const override {
    if (roster_.ranking() == nullptr) return pick_scanned(input);
    const Excluded excluded = roster_.excluded_by(input);
    return excluded.too_many() ? pick_scanned(input) : pick_ranked(input, excluded);
  }

  std::optional<BackendIndex> explain(const PickInput& input,
                                      std::vector<std::string>& because) const override;

 private:
  /// What the scan reads, and no more: it is the cache that counts.
  struct Candidate {
    const std::atomic<std::uint32_t>* active;
    std::uint32_t weight;  ///< in hundredths: slow start takes its part
  };
  struct Least {
    std::uint32_t candidate = 0;
    std::uint64_t sessions = 0;
    std::uint64_t weight = 0;
    std::uint32_t ties = 0;  ///< 0: nobody is left
  };
  using Excluded = Roster::Excluded;
  /// One of several that are equally busy.
  struct Tied {
    std::uint32_t candidate;
    std::uint64_t next_turn;  ///< where the sequence stands when it has been chosen
  };
  static constexpr std::uint64_t kNoTurn = ~std::uint64_t{0};
  /// Other workers' ties may move the cursor meanwhile; the last attempt does without.
  static constexpr int kAttempts = 4;

  std::optional<BackendIndex> pick_scanned(const PickInput& input) const {
    const Least least = scan(input);
    if (least.ties == 0) return std::nullopt;
    if (least.ties == 1) return roster_[least.candidate].index;
    std::uint32_t chosen = least.candidate;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const std::uint64_t seen = turns_.peek();
      const Tied tied = tied_scanned(least, input, seen);
      chosen = tied.candidate;
      if (turns_.move(seen, tied.next_turn)) break;
    }
    return roster_[chosen].index;
  }

  std::optional<BackendIndex> pick_ranked(const PickInput& input, const Excluded& excluded) const {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      roster_.ranking()->catch_up();
      const MinTree& tree = tree_of_loads();
      const LoadRanking::Key least = tree.least(excluded.get());
      if (least == MinTree::kNobody) return std::nullopt;
      const std::uint64_t seen = turns_.peek();
      const auto chosen = in_order_ ? next_ranked(least, excluded, seen) : tied_ranked(least, excluded, seen);
      if (!chosen) continue;  // it has become busier meanwhile
      const std::uint32_t candidate = chosen->candidate;
      if (is_alone(candidate, least, excluded)) return roster_[candidate].index;
      if (turns_.move(seen, chosen->next_turn) || attempt == kAttempts - 1) return roster_[candidate].index;
    }
    return pick_scanned(input);
  }

  Least scan(const PickInput& input) const {
    return input.tried.empty() && !roster_.limited() ? scan<false>(input) : scan<true>(input);
  }
  template <bool kPicky>
  Least scan(const PickInput& input) const;

  /// Still as little busy as `least` was when it was scanned.
  bool ties_with(const Least& least, std::uint32_t member, const PickInput& input) const {
    const Candidate& candidate = candidates_[member];
    const std::uint64_t sessions = candidate.active->load(std::memory_order_relaxed);
    return sessions * least.weight <= least.sessions * candidate.weight && roster_.may_serve(member, input);
  }

  template <typename Ties>
  std::uint64_t tied_turn(std::uint64_t from, std::uint64_t most, Ties ties) const {
    const std::uint64_t ahead = std::min(turns_.size(), most);
    for (std::uint64_t turn = from; turn != from + ahead; ++turn) {
      if (ties(turns_.member_at(turn))) return turn;
    }
    return kNoTurn;
  }

  Tied tied_scanned(const Least& least, const PickInput& input, std::uint64_t seen) const {
    const std::uint64_t turn = tied_turn(
        seen, kMaxTurnsAhead, [&](std::uint32_t member) { return ties_with(least, member, input); });
    if (turn == kNoTurn) return {tied_in_rotation(least, input, seen), seen + 1};
    return {turns_.member_at(turn), turn + 1};
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

  /// Whom pick() would choose of them now.
  std::uint32_t explained_tie(const Least& least, const PickInput& input) const {
    const std::uint64_t seen = turns_.peek();
    const Excluded excluded = roster_.excluded_by(input);
    if (roster_.ranking() == nullptr || excluded.too_many())
      return tied_scanned(least, input, seen).candidate;
    roster_.ranking()->catch_up();
    const LoadRanking::Key key = tree_of_loads().least(excluded.get());
    const auto tied = in_order_ ? next_ranked(key, excluded, seen) : tied_ranked(key, excluded, seen);
    return tied ? tied->candidate : least.candidate;
  }
  const MinTree& tree_of_loads() const { return roster_.ranking()->tree(); }
  bool is_alone(std::uint32_t candidate, LoadRanking::Key least, const Excluded& excluded) const;
  std::optional<std::uint32_t> first_from(std::uint32_t from, LoadRanking::Key least,
                                          const Excluded& excluded) const;
  std::optional<Tied> next_ranked(LoadRanking::Key least, const Excluded& excluded, std::uint64_t seen) const;
  std::optional<Tied> tied_ranked(LoadRanking::Key least, const Excluded& excluded, std::uint64_t seen) const;

  Roster roster_;
  std::vector<Candidate> candidates_;  ///< its members
  Turns turns_;
  bool in_order_ = false;  ///< the sequence is just everyone in turn; known of many only
  /// Where the rotation of far-off ties goes on. Approximate when several workers move it.
  mutable std::atomic<std::uint32_t> rotation_{0};
};

std::optional<std::uint32_t> LeastConnections::first_from(std::uint32_t from, LoadRanking::Key least,
                                                          const Excluded& excluded) const {
  const auto count = static_cast<std::uint32_t>(roster_.size());
  const auto found = tree_of_loads().first(least, from, count, excluded.get());
  return found ? found : tree_of_loads().first(least, 0, from, excluded.get());
}

bool LeastConnections::is_alone(std::uint32_t candidate, LoadRanking::Key least,
                                const Excluded& excluded) const {
  const auto next = static_cast<std::uint32_t>((candidate + std::size_t{1}) % roster_.size());
  return first_from(next, least, excluded) == candidate;
}

std::optional<LeastConnections::Tied> LeastConnections::next_ranked(LoadRanking::Key least,
                                                                    const Excluded& excluded,
                                                                    std::uint64_t seen) const {
  const std::uint64_t count = roster_.size();
  const auto due = static_cast<std::uint32_t>(seen % count);
  const auto found = first_from(due, least, excluded);
  if (!found) return std::nullopt;
  return Tied{*found, seen + (*found + count - due) % count + 1};
}

std::optional<LeastConnections::Tied> LeastConnections::tied_ranked(LoadRanking::Key least,
                                                                    const Excluded& excluded,
                                                                    std::uint64_t seen) const {
  const MinTree& tree = tree_of_loads();
  const std::uint64_t turn = tied_turn(
      seen, turns_.size() <= kMaxTurnsAhead ? kMaxTurnsAhead : kTurnsAheadOfMany, [&](std::uint32_t member) {
        return tree.key(member) <= least && std::ranges::find(excluded.get(), member) == excluded.get().end();
      });
  if (turn != kNoTurn) return Tied{turns_.member_at(turn), turn + 1};
  const auto found = first_from(rotation_.load(std::memory_order_relaxed), least, excluded);
  if (!found) return std::nullopt;
  rotation_.store(static_cast<std::uint32_t>((*found + std::size_t{1}) % roster_.size()),
                  std::memory_order_relaxed);
  return Tied{*found, seen + 1};
}

template <bool kPicky>
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
    if constexpr (kPicky) {
      if (!roster_.may_serve(i, input)) continue;
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
  struct Line {
    const Candidate* candidate;
    const Roster::Seat* seat;
    std::uint64_t sessions;
  };
  std::vector<Line> lines;  // the counts are read once: they move while we sort
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    lines.push_back(
        {&candidates_[i], &roster_.seats()[i], candidates_[i].active->load(std::memory_order_relaxed)});
  }
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return a.sessions * b.candidate->weight < b.sessions * a.candidate->weight;
  });
  for (std::size_t i = 0; i < std::min(kExplained, lines.size()); ++i) {
    const auto& [candidate, seat, sessions] = lines[i];
    const std::string passed_over = why_passed_over(*seat, input);
    because.push_back(fmt::format("least_connections: {} has {} for weight {}{}{}", seat->load->name,
                                  counted(sessions, "session"), seat->weight,
                                  seat->share_percent < 100
                                      ? fmt::format(" at {} % (slow start or its agent)", seat->share_percent)
                                      : "",
                                  passed_over.empty() ? "" : "; " + passed_over));
  }
  if (lines.size() > kExplained) {
    because.push_back(fmt::format("least_connections: {} more are no less busy", lines.size() - kExplained));
  }
  if (least.ties == 0) {
    because.emplace_back("least_connections: nobody is left to choose from");
    return std::nullopt;
  }
  if (least.ties == 1) return roster_[least.candidate].index;

  const std::uint32_t chosen = explained_tie(least, input);
  because.push_back(fmt::format("{} are equally busy: {} is next in the round-robin sequence", least.ties,
                                roster_[chosen].load->name));
  return roster_[chosen].index;
}

}  // namespace

std::unique_ptr<Balancer> build_least_connections(std::span<const Member> members,
                                                  const BalancerTerms& /*terms*/, const Balancer* previous) {
  return std::make_unique<LeastConnections>(members, dynamic_cast<const LeastConnections*>(previous));
}

}  // namespace weir
