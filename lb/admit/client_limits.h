#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "lb/admit/keyed_hash.h"
#include "lb/admit/rate.h"
#include "lb/base/address.h"

namespace weir {

/// What each client may have of a listener. Plain data, a part of what a worker is handed.
struct ClientLimit {
  std::uint32_t sessions = 0;  ///< at once; 0 = no limit
  Rate rate;                   ///< of new ones
  /// What is one client: so many leading bits of an IPv4, and of an IPv6 address.
  std::array<std::uint8_t, 2> prefix_bits{32, 64};
};

enum class ClientRefusal : std::uint8_t { Sessions, Rate };

class ClientLimits;

/// A session's place in the count of its client; given back when it is destroyed. A move-only value; any
/// thread. Not to outlive its ClientLimits.
class ClientPlace {
 public:
  ClientPlace() = default;
  ClientPlace(ClientPlace&& other) noexcept
      : limits_(std::exchange(other.limits_, nullptr)), slot_(other.slot_) {}
  ClientPlace& operator=(ClientPlace&& other) noexcept {
    if (this != &other) {
      give_back();
      limits_ = std::exchange(other.limits_, nullptr);
      slot_ = other.slot_;
    }
    return *this;
  }
  ~ClientPlace() { give_back(); }

  explicit operator bool() const { return limits_ != nullptr; }
  void give_back();

 private:
  friend class ClientLimits;
  ClientPlace(ClientLimits& limits, std::uint32_t slot) : limits_(&limits), slot_(slot) {}

  ClientLimits* limits_ = nullptr;
  std::uint32_t slot_ = 0;
};

/// How many sessions each client of a listener has, and how full its bucket is. Any thread at any moment;
/// exact over all of them; nobody waits for anybody, and nothing allocates after the constructor.
///
/// A table of fixed size, in buckets of 32 slots; a client's keyed hash says which bucket, and is what it is
/// known by (57 bits and more: that two of a million remembered clients share an entry has a chance of 1 in
/// 100,000). A slot has 16 bytes: the client, its sessions, and when its token bucket is full again. It
/// changes by one compare-and-exchange of all 16, so that every decision is of one moment, and whoever finds
/// that a slot has changed begins anew.
///
/// A slot with sessions keeps its client until they have ended. Whoever is not in its bucket takes the slot
/// without sessions whose token bucket is fullest (an empty slot is the fullest of all): first as a claim
/// that nobody else has the like of; then looks whether another slot has the same client, or a claim for it,
/// which it takes away; then makes the claim an entry, if nobody has taken that away. Of two who do this for
/// one client at once, one at least sees the other's claim before it makes its own an entry (Dekker): so
/// there is never a second entry. One who is stopped amid that holds up nobody: its claim is taken over.
///
/// There are four slots for each client to be remembered, `max_sessions` with sessions and `max_idle` without
/// one. That a bucket overflows nevertheless (33 where 8 are expected) has a chance of some 1 in a million
/// when all are taken; a new client is then refused as if it had its sessions. Idle clients beyond `max_idle`
/// may be remembered, too: as many as there are slots. Memory that no client has touched is not resident; all
/// of it is 64 bytes for each of those clients, 4.7 MB at 8,000 sessions.
class ClientLimits {
 public:
  using Time = Rate::Time;
  static constexpr std::uint32_t kMaxIdle = 65'536;
  static constexpr std::uint32_t kMaxSessions = (1u << 20) - 1;  ///< of all clients together

  /// `max_sessions`: what the process can ever have. `key`: secret and random.
  ClientLimits(std::uint32_t max_sessions, std::uint32_t max_idle, const HashKey& key);
  ClientLimits(const ClientLimits&) = delete;
  ClientLimits& operator=(const ClientLimits&) = delete;

  /// A place and a token, or neither. `limit` may differ from call to call (a reload): sessions count on;
  /// those that were admitted under other prefixes count for what was their client then.
  tl::expected<ClientPlace, ClientRefusal> admit(const ClientAddress& client, const ClientLimit& limit,
                                                 Time now);
  /// A place in any case, no token: a session that another process of this Weir has. An empty one when none
  /// can be remembered.
  ClientPlace hold(const ClientAddress& client, const ClientLimit& limit);

  /// A token bucket that is not full, in words that a table of the same key and size understands.
  struct Spent {
    std::uint64_t place;    ///< where its client is kept: below size()
    std::uint64_t who;      ///< its client
    std::uint64_t full_at;  ///< nanoseconds
  };
  std::uint64_t size() const { return buckets_; }
  /// Those that are not full at `now`, for the process that follows.
  std::vector<Spent> spent(Time now) const;
  /// What another table has told: the clients have no more tokens here than they had there.
  void spend(const std::vector<Spent>& spent);

  struct Standing {
    std::uint32_t sessions = 0;
    Time token_in{0};  ///< 0: there is one
  };
  /// For whoever asks; changes nothing.
  Standing standing(const ClientAddress& client, const ClientLimit& limit, Time now) const;

 private:
  friend class ClientPlace;

  /// Read half by half, and changed as one.
  struct alignas(16) Slot {
    std::uint64_t who;      ///< the client, and in the low bits its sessions; 0: nobody
    std::uint64_t full_at;  ///< nanoseconds; or a claim
  };
  struct Client {
    std::uint64_t who;
    Slot* bucket;
  };
  struct Free {
    void operator()(Slot* slots) const;
  };
  enum class Entered : std::uint8_t { Yes, Again, NoRoom };

  Client client_of(const ClientAddress& address, const ClientLimit& limit) const;
  static Slot load(const Slot& slot);
  static bool exchange(Slot& slot, const Slot& from, const Slot& to);
  static Slot* find(const Client& client, Slot& seen);
  static Slot* choose(const Client& client, Slot& seen, Entered& otherwise);
  static bool is_only(const Client& client, const Slot* own);
  Entered enter(const Client& client, Time full_at, Slot*& slot);
  ClientPlace place_of(const Slot* slot);
  void give_back(std::uint32_t slot);

  HashKey key_;
  std::uint64_t buckets_;
  std::unique_ptr<Slot[], Free> slots_;
  alignas(64) std::atomic<std::uint64_t> claims_{0};  ///< so many have been made
};

inline void ClientPlace::give_back() {
  if (limits_ != nullptr) std::exchange(limits_, nullptr)->give_back(slot_);
}

}  // namespace weir
