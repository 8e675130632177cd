#include "lb/balance/load_ranking.h"

#include <algorithm>
#include <numeric>

namespace weir {
namespace {

/// Sessions for each unit of weight, in parts of 2^30: exactly equal loads have equal keys, and different
/// ones differ by 1/25,600² at least, which is more than one part.
constexpr unsigned kPartBits = 30;
static_assert(std::uint64_t{25'600} * 25'600 < (std::uint64_t{1} << kPartBits));

/// A load of 2^24 sessions for a unit of weight, and beyond, counts as just below that.
constexpr std::uint64_t kMostSessions = (std::uint64_t{1} << (MinTree::kKeyBits - kPartBits)) - 1;

}  // namespace

LoadRanking::LoadRanking(std::span<const Member> members)
    : tree_(static_cast<std::uint32_t>(members.size())) {
  std::uint64_t divisor = 0;
  for (const Member& member : members) {
    const std::uint64_t weight = std::uint64_t{member.weight} * member.share_percent;
    candidates_.push_back({member.load, weight});
    divisor = std::gcd(divisor, weight);
  }
  for (Candidate& candidate : candidates_) candidate.weight /= divisor;
  watch_all(members);
  for (Rank rank = 0; rank < candidates_.size(); ++rank) tree_.set(rank, key_now(rank));
  tree_.rebuild();
}

void LoadRanking::watch_all(std::span<const Member> members) {
  std::shared_ptr<ChangeBoard> board;
  std::uint32_t next_place = 0;
  for (const Member& member : members) {
    if (member.load->board() == nullptr) continue;
    if (board == nullptr) board = member.load->board();
    if (member.load->board() == board) next_place = std::max(next_place, member.load->place() + 1);
  }
  if (board == nullptr) board = std::make_shared<ChangeBoard>();
  // Where places do not suffice neighbours share one: what is above them in the tree is the same.
  const auto unwatched = static_cast<std::uint64_t>(
      std::ranges::count_if(members, [](const Member& member) { return member.load->board() == nullptr; }));
  const std::uint64_t left = next_place < ChangeBoard::kPlaces ? ChangeBoard::kPlaces - next_place : 0;
  const bool suffice = unwatched <= left;
  std::uint64_t nth = 0;
  for (const Member& member : members) {
    if (member.load->board() != nullptr) continue;
    const std::uint64_t place =
        suffice ? next_place + nth : members.size() + nth * ChangeBoard::kPlaces / unwatched;
    member.load->watch(board, static_cast<std::uint32_t>(place % ChangeBoard::kPlaces));
    ++nth;
  }
  for (const Member& member : members) {
    const ChangeBoard* const its = member.load->board().get();
    if (std::ranges::none_of(watches_, [&](const auto& watch) { return watch->board == its; }))
      add_watch(its, members);
  }
}

void LoadRanking::add_watch(const ChangeBoard* board, std::span<const Member> members) {
  auto watch = std::make_unique<Watch>();
  watch->board = board;
  // Before the counts: what changes in between is looked at twice.
  for (std::uint32_t block = 0; block < ChangeBoard::kBlocks; ++block)
    watch->seen_blocks[block].store(board->block_stamp(block), std::memory_order_relaxed);
  for (std::uint32_t place = 0; place < ChangeBoard::kPlaces; ++place)
    watch->seen_places[place].store(board->place_stamp(place), std::memory_order_relaxed);
  watch->starts.fill(0);
  for (const Member& member : members)
    if (member.load->board().get() == board) ++watch->starts[member.load->place() + 1];
  std::partial_sum(watch->starts.begin(), watch->starts.end(), watch->starts.begin());
  watch->ranks.resize(watch->starts.back());
  auto next = watch->starts;
  for (Rank rank = 0; rank < members.size(); ++rank) {
    const BackendLoad& load = *members[rank].load;
    if (load.board().get() == board) watch->ranks[next[load.place()]++] = rank;
  }
  watches_.push_back(std::move(watch));
}

LoadRanking::Key LoadRanking::key_now(Rank rank) const {
  const Candidate& candidate = candidates_[rank];
  if (!candidate.load->has_room()) return MinTree::kNobody;
  const std::uint64_t parts = std::uint64_t{candidate.load->active.load(std::memory_order_seq_cst)}
                              << kPartBits;
  return std::min(candidate.weight == 1 ? parts : parts / candidate.weight, kMostSessions << kPartBits);
}

std::optional<LoadRanking::Rank> LoadRanking::next_with_room(Rank from,
                                                             std::span<const Rank> excluded) const {
  const auto count = static_cast<Rank>(candidates_.size());
  const auto found = tree_.first(MinTree::kNobody - 1, from, count, excluded);
  return found ? found : tree_.first(MinTree::kNobody - 1, 0, from, excluded);
}

void LoadRanking::catch_up() const {
  for (const auto& watch : watches_) {
    for (std::uint32_t block = 0; block < ChangeBoard::kBlocks; ++block) {
      const std::uint32_t stamp = watch->board->block_stamp(block);
      if (stamp == watch->seen_blocks[block].load(std::memory_order_acquire)) continue;
      catch_up(*watch, block);
      watch->seen_blocks[block].store(stamp, std::memory_order_release);
    }
  }
}

void LoadRanking::catch_up(Watch& watch, std::uint32_t block) const {
  constexpr Rank kNone = ~Rank{0};
  struct Seen {
    std::uint32_t place;
    std::uint32_t stamp;
  };
  std::array<Seen, ChangeBoard::kBlockPlaces> changed;
  std::size_t count = 0;
  Rank renewed = kNone;  // what is above it has still to be renewed
  const std::uint32_t first = block * ChangeBoard::kBlockPlaces;
  for (std::uint32_t place = first; place < first + ChangeBoard::kBlockPlaces; ++place) {
    const std::uint32_t stamp = watch.board->place_stamp(place);
    if (stamp == watch.seen_places[place].load(std::memory_order_acquire)) continue;
    changed[count++] = {place, stamp};
    for (std::uint32_t i = watch.starts[place]; i < watch.starts[place + 1]; ++i) {
      const Rank rank = watch.ranks[i];
      if (renewed != kNone && renewed / MinTree::kFan != rank / MinTree::kFan) tree_.renew_above(renewed);
      tree_.renew_leaf(rank, [&] { return key_now(rank); });
      renewed = rank;
    }
  }
  if (renewed != kNone) tree_.renew_above(renewed);
  // Only now: who finds nothing new relies on it.
  for (std::size_t i = 0; i < count; ++i)
    watch.seen_places[changed[i].place].store(changed[i].stamp, std::memory_order_release);
}

}  // namespace weir
