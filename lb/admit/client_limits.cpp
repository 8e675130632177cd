#include "lb/admit/client_limits.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "lb/admit/network.h"
#include "lb/base/error.h"

namespace weir {

#ifdef WEIR_STEPS
/// A test's word before each access to a slot: which thread goes on.
void step();
#endif
namespace {

#ifdef WEIR_STEPS
constexpr std::size_t kSlotsPerBucket = 4;
constexpr int kPatience = 1;
#else
void step() {}
constexpr std::size_t kSlotsPerBucket = 32;
/// So often it is looked whether a claim becomes an entry before it is taken over: it takes some 50 ns.
constexpr int kPatience = 64;
#endif

constexpr std::size_t kSlotsPerClient = 4;
constexpr unsigned kSessionBits = 20;
constexpr std::uint64_t kSessions = (std::uint64_t{1} << kSessionBits) - 1;
/// In `full_at`: no time yet, but the number of a claim.
constexpr std::uint64_t kClaim = std::uint64_t{1} << 63;

/// The instruction there is for 16 bytes: cmpxchg16b, ldxp and stxp.
__extension__ using Word = unsigned __int128;

bool is_claim(std::uint64_t full_at) {
  return (full_at & kClaim) != 0;
}

std::uint64_t read(const std::uint64_t& half) {
  step();
  return __atomic_load_n(&half, __ATOMIC_SEQ_CST);
}

}  // namespace

void ClientLimits::Free::operator()(Slot* slots) const {
  std::free(slots);
}

ClientLimits::ClientLimits(std::uint32_t max_sessions, std::uint32_t max_idle, const HashKey& key)
    : key_(key) {
  WEIR_CHECK(max_sessions <= kMaxSessions && max_idle <= kMaxSessions);
  const std::size_t clients = std::size_t{max_sessions} + max_idle;
  buckets_ = (clients * kSlotsPerClient + kSlotsPerBucket - 1) / kSlotsPerBucket;
  buckets_ = std::max<std::uint64_t>(buckets_, 1);
  // Zeroes that the kernel makes when they are touched.
  void* const memory = std::calloc(buckets_ * kSlotsPerBucket, sizeof(Slot));
  WEIR_CHECK(memory != nullptr);
  slots_.reset(static_cast<Slot*>(memory));
}

ClientLimits::Client ClientLimits::client_of(const ClientAddress& address, const ClientLimit& limit) const {
  const bool is_v4 = address.ip().size() == 4;
  const auto network = Network::around(address, limit.prefix_bits[is_v4 ? 0 : 1]);
  std::array<std::uint64_t, 2> words{};
  std::memcpy(words.data(), network.first().data(), network.first().size());
  // Networks of different lengths are different clients: 0 to 32 for IPv4, from 64 on for IPv6.
  const unsigned length = network.bits() + (is_v4 ? 0 : network.is_unix() ? 255 : 64);
  const std::uint64_t hash = keyed_hash(key_, words[0], words[1], static_cast<std::uint8_t>(length));
  // The high bits say which bucket, the low ones who in it.
  const std::uint64_t bucket = (hash >> 32) * buckets_ >> 32;
  const std::uint64_t who = hash << kSessionBits;
  return {who != 0 ? who : std::uint64_t{1} << kSessionBits, &slots_[bucket * kSlotsPerBucket]};
}

/// The halves may be of two moments: an exchange from them fails then.
ClientLimits::Slot ClientLimits::load(const Slot& slot) {
  const std::uint64_t who = read(slot.who);
  return {who, read(slot.full_at)};
}

bool ClientLimits::exchange(Slot& slot, const Slot& from, const Slot& to) {
  step();
  return __sync_bool_compare_and_swap(reinterpret_cast<Word*>(&slot), std::bit_cast<Word>(from),
                                      std::bit_cast<Word>(to));
}

/// The client's entry; a claim is none.
ClientLimits::Slot* ClientLimits::find(const Client& client, Slot& seen) {
  for (Slot* slot = client.bucket; slot != client.bucket + kSlotsPerBucket; ++slot) {
    if ((read(slot->who) & ~kSessions) != client.who) continue;
    seen = load(*slot);
    if ((seen.who & ~kSessions) == client.who && !is_claim(seen.full_at)) return slot;
  }
  return nullptr;
}

/// The slot to be claimed: another's claim for the same client, else the idle one with the fullest token
/// bucket.
ClientLimits::Slot* ClientLimits::choose(const Client& client, Slot& seen, Entered& otherwise) {
  Slot* chosen = nullptr;
  for (Slot* slot = client.bucket; slot != client.bucket + kSlotsPerBucket; ++slot) {
    Slot now = load(*slot);
    if ((now.who & ~kSessions) == client.who) {
      otherwise = Entered::Again;
      for (int i = 0; i < kPatience && is_claim(now.full_at); ++i) {
        const Slot later = load(*slot);
        if (later.who != now.who || later.full_at != now.full_at) return nullptr;
      }
      if (!is_claim(now.full_at)) return nullptr;
      seen = now;
      return slot;
    }
    if ((now.who & kSessions) != 0 || is_claim(now.full_at)) continue;
    if (chosen != nullptr && now.full_at >= seen.full_at) continue;
    chosen = slot;
    seen = now;
  }
  otherwise = Entered::NoRoom;
  return chosen;
}

/// Takes away whatever other claims there are for the client. False: it has an entry, in all likelihood.
bool ClientLimits::is_only(const Client& client, const Slot* own) {
  for (Slot* slot = client.bucket; slot != client.bucket + kSlotsPerBucket; ++slot) {
    while (slot != own && (read(slot->who) & ~kSessions) == client.who) {
      const Slot seen = load(*slot);
      if (!is_claim(seen.full_at)) return false;
      exchange(*slot, seen, Slot{0, 0});
    }
  }
  return true;
}

/// Makes an entry with one session.
ClientLimits::Entered ClientLimits::enter(const Client& client, Time full_at, Slot*& slot) {
  Slot seen{};
  Entered otherwise = Entered::NoRoom;
  slot = choose(client, seen, otherwise);
  if (slot == nullptr) return otherwise;
  const Slot claim{client.who, kClaim | (claims_.fetch_add(1, std::memory_order_relaxed) + 1)};
  if (!exchange(*slot, seen, claim)) return Entered::Again;
  if (!is_only(client, slot)) {
    exchange(*slot, claim, Slot{0, 0});
    return Entered::Again;
  }
  const Slot entry{client.who + 1, static_cast<std::uint64_t>(full_at.count())};
  return exchange(*slot, claim, entry) ? Entered::Yes : Entered::Again;
}

ClientPlace ClientLimits::place_of(const Slot* slot) {
  return {*this, static_cast<std::uint32_t>(slot - slots_.get())};
}

tl::expected<ClientPlace, ClientRefusal> ClientLimits::admit(const ClientAddress& address,
                                                             const ClientLimit& limit, Time now) {
  const Client client = client_of(address, limit);
  for (;;) {
    Slot seen{};
    Slot* slot = find(client, seen);
    // What it has not got back from before is what a new bucket has: all.
    const Time full_at(slot != nullptr ? static_cast<std::int64_t>(seen.full_at) : 0);
    auto then = limit.rate.is_limited() ? limit.rate.take(full_at, now) : full_at;
    if (slot == nullptr) {
      const Entered entered = enter(client, then.value_or(now), slot);
      if (entered == Entered::Yes) return place_of(slot);
      if (entered == Entered::NoRoom) return tl::unexpected(ClientRefusal::Sessions);
      continue;
    }
    const std::uint64_t sessions = seen.who & kSessions;
    const bool is_full = sessions == kSessions || (limit.sessions != 0 && sessions >= limit.sessions);
    // Refused, it is what it was: but both halves have to be of one moment.
    const Slot after =
        is_full || !then ? seen : Slot{seen.who + 1, static_cast<std::uint64_t>(then->count())};
    if (!exchange(*slot, seen, after)) continue;
    if (is_full) return tl::unexpected(ClientRefusal::Sessions);
    if (!then) return tl::unexpected(ClientRefusal::Rate);
    return place_of(slot);
  }
}

ClientPlace ClientLimits::hold(const ClientAddress& address, const ClientLimit& limit) {
  ClientLimit none;
  none.prefix_bits = limit.prefix_bits;
  auto place = admit(address, none, Time{0});
  return place ? *std::move(place) : ClientPlace();
}

std::vector<ClientLimits::Spent> ClientLimits::spent(Time now) const {
  std::vector<Spent> out;
  for (std::uint64_t i = 0; i < buckets_ * kSlotsPerBucket; ++i) {
    const Slot seen = load(slots_[i]);
    if (is_claim(seen.full_at) || seen.full_at <= static_cast<std::uint64_t>(now.count())) continue;
    out.push_back({i / kSlotsPerBucket, seen.who & ~kSessions, seen.full_at});
  }
  return out;
}

void ClientLimits::spend(const std::vector<Spent>& spent) {
  for (const Spent& one : spent) {
    if (one.place >= buckets_ || one.who == 0 || (one.who & kSessions) != 0 || is_claim(one.full_at))
      continue;
    const Client client{one.who, &slots_[one.place * kSlotsPerBucket]};
    for (bool again = true; again;) {
      Slot seen{};
      if (Slot* slot = find(client, seen); slot != nullptr) {
        again = !exchange(*slot, seen, Slot{seen.who, std::max(seen.full_at, one.full_at)});
        continue;
      }
      Slot* slot = nullptr;
      const Entered entered = enter(client, Time(static_cast<std::int64_t>(one.full_at)), slot);
      if (entered == Entered::Yes) place_of(slot).give_back();
      again = entered == Entered::Again;
    }
  }
}

ClientLimits::Standing ClientLimits::standing(const ClientAddress& address, const ClientLimit& limit,
                                              Time now) const {
  Slot seen{};
  if (find(client_of(address, limit), seen) == nullptr) return {};
  return {static_cast<std::uint32_t>(seen.who & kSessions),
          limit.rate.wait(Time(static_cast<std::int64_t>(seen.full_at)), now)};
}

void ClientLimits::give_back(std::uint32_t index) {
  Slot& slot = slots_[index];
  for (;;) {
    const Slot seen = load(slot);
    WEIR_CHECK((seen.who & kSessions) != 0);
    if (exchange(slot, seen, Slot{seen.who - 1, seen.full_at})) return;
  }
}

}  // namespace weir
