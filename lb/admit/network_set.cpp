#include "lb/admit/network_set.h"

#include <algorithm>

#include "lb/base/error.h"

namespace weir {
namespace {

/// The number that `bytes`, as many as a Key has, write in network order.
template <class Key>
Key load(std::span<const std::uint8_t> bytes) {
  Key key = 0;
  for (std::size_t i = 0; i < sizeof(Key); ++i) key = key << 8 | bytes[i];
  return key;
}

template <class Key>
Key last_of(Key first, unsigned bits) {
  return bits == sizeof(Key) * 8 ? first : first | ~Key{0} >> bits;
}

}  // namespace

/// From left to right, with the networks that are open there on a stack.
template <class Key>
NetworkSet::Ranges<Key> NetworkSet::cut(std::span<const Network> networks) {
  struct Piece {
    Key first;
    Key last;
    std::uint32_t place;
  };
  std::vector<Piece> pieces;
  for (std::uint32_t place = 0; place < networks.size(); ++place) {
    if (networks[place].first().size() != sizeof(Key)) continue;
    const Key first = load<Key>(networks[place].first());
    pieces.push_back({first, last_of(first, networks[place].bits()), place});
  }
  if (pieces.empty()) return {};
  // The wider first; of equal ones the last first, so that the first in the list is the innermost.
  std::ranges::sort(pieces, [](const Piece& a, const Piece& b) {
    if (a.first != b.first) return a.first < b.first;
    return a.last != b.last ? b.last < a.last : b.place < a.place;
  });

  std::vector<Key> starts{0};
  std::vector<std::uint32_t> winners{kNone};
  const auto start = [&](Key at, std::uint32_t winner) {
    if (starts.back() == at) {
      winners.back() = winner;
    } else if (winners.back() != winner) {
      starts.push_back(at);
      winners.push_back(winner);
    }
  };
  std::vector<Piece> open;
  const auto close = [&] {
    const Key behind = open.back().last + 1;
    open.pop_back();
    if (behind != 0) start(behind, open.empty() ? kNone : open.back().place);
  };
  for (const Piece& piece : pieces) {
    while (!open.empty() && open.back().last < piece.first) close();
    start(piece.first, piece.place);
    open.push_back(piece);
  }
  while (!open.empty()) close();

  Ranges<Key> ranges;
  winners.shrink_to_fit();
  ranges.winners = std::move(winners);
  starts.shrink_to_fit();
  ranges.levels.push_back(std::move(starts));
  while (ranges.levels.back().size() > kFan) {
    const std::vector<Key>& below = ranges.levels.back();
    std::vector<Key> above;
    for (std::size_t at = 0; at < below.size(); at += kFan) above.push_back(below[at]);
    ranges.levels.push_back(std::move(above));
  }
  return ranges;
}

/// Of the last start that is not behind `key`. The first is behind none.
template <class Key>
std::uint32_t NetworkSet::winner_of(const Ranges<Key>& ranges, Key key) {
  if (ranges.winners.empty()) return kNone;
  std::size_t at = 0;
  for (auto level = ranges.levels.rbegin(); level != ranges.levels.rend(); ++level) {
    const Key* const from = level->data() + at * kFan;
    const std::size_t count = std::min(kFan, level->size() - at * kFan);
    std::size_t not_behind = 0;
    for (std::size_t i = 0; i < count; ++i) not_behind += from[i] <= key ? 1 : 0;
    at = at * kFan + not_behind - 1;
  }
  return ranges.winners[at];
}

NetworkSet::NetworkSet(std::span<const Network> networks)
    : v4_(cut<std::uint32_t>(networks)), v6_(cut<V6Key>(networks)) {
  WEIR_CHECK(networks.size() < kNone);
  const auto found = std::ranges::find_if(networks, &Network::is_unix);
  if (found != networks.end()) unix_ = static_cast<std::uint32_t>(found - networks.begin());
}

std::optional<std::uint32_t> NetworkSet::find(const ClientAddress& client) const {
  const auto ip = client.ip();
  std::uint32_t winner = unix_;
  if (ip.size() == 4) winner = winner_of(v4_, load<std::uint32_t>(ip));
  if (ip.size() == 16) winner = winner_of(v6_, load<V6Key>(ip));
  return winner == kNone ? std::nullopt : std::optional(winner);
}

}  // namespace weir
