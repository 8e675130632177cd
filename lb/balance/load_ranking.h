#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lb/balance/balancer.h"
#include "lb/balance/change_board.h"
#include "lb/balance/min_tree.h"

namespace weir {

/// Who of many members has the fewest sessions for its weight, or has room at all, without reading all the
/// counters: those that have changed are known from the board that Leases mark, and a tree of minima is
/// renewed above them alone. A look costs some 50 ns for each counter that has changed since anybody's last
/// one (less when many have).
///
/// Any number of rankings (versions of one pool) watch the same loads at once. Built on the control thread,
/// thread-safe after that; nothing blocks or allocates. What was marked before catch_up() began is in the
/// tree when it returns, whatever another thread has left half done: what a thread takes a change up, it says
/// so only after it has put it in.
class LoadRanking {
 public:
  using Rank = MinTree::Rank;
  using Key = MinTree::Key;

  /// Ranks are places in `members`: all of them are eligible, and their loads outlive this. Loads that nobody
  /// watches yet get a board: that of the others, or a new one.
  explicit LoadRanking(std::span<const Member> members);

  void catch_up() const;
  /// Whoever is full has the key MinTree::kNobody.
  const MinTree& tree() const { return tree_; }
  /// After catch_up(): the first one at or after `from`, and round to it again, that has room and is not
  /// excluded.
  std::optional<Rank> next_with_room(Rank from, std::span<const Rank> excluded) const;

 private:
  struct Candidate {
    const BackendLoad* load;
    std::uint64_t weight;  ///< in hundredths, without the common divisor of all
  };
  /// What is known of one board. All loads of a pool have the same, but for rare histories.
  struct Watch {
    const ChangeBoard* board;
    std::array<std::atomic<std::uint32_t>, ChangeBoard::kBlocks> seen_blocks;
    std::array<std::atomic<std::uint32_t>, ChangeBoard::kPlaces> seen_places;
    /// ranks[starts[p]] up to ranks[starts[p + 1]] are counted at place p.
    std::array<std::uint32_t, ChangeBoard::kPlaces + 1> starts;
    std::vector<Rank> ranks;
  };

  void watch_all(std::span<const Member> members);
  void add_watch(const ChangeBoard* board, std::span<const Member> members);
  void catch_up(Watch& watch, std::uint32_t block) const;
  Key key_now(Rank rank) const;

  std::vector<Candidate> candidates_;
  std::vector<std::unique_ptr<Watch>> watches_;
  mutable MinTree tree_;
};

}  // namespace weir
