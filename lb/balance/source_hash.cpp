#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "lb/balance/balancer.h"
#include "lb/balance/rendezvous.h"
#include "lb/balance/roster.h"
#include "lb/base/error.h"

namespace weir {
namespace {

/// Slots for groups of up to 1,024 members, 64 for each; larger groups have as many for each, rounded up to a
/// power of two. Counted are the configured members, so that no change of health alters the number of slots.
constexpr unsigned kMinBits = 16;
constexpr std::size_t kSlotsPerMember = 64;
constexpr unsigned kMaxBits = 30;

/// With no more than this many left that have room, only these are compared for a client that goes elsewhere.
constexpr std::uint32_t kFewLeft = 16;

constexpr std::uint32_t kNobody = std::numeric_limits<std::uint32_t>::max();

unsigned bits_for(std::size_t members) {
  const auto bits =
      static_cast<unsigned>(std::bit_width(std::max<std::size_t>(members, 1) * kSlotsPerMember - 1));
  return std::clamp(bits, kMinBits, kMaxBits);
}

/// Of the address alone, not the port; the same on every machine. A unix client has no address: all of them
/// share one hash, and so one backend.
std::uint64_t hash_client(const ClientAddress& client) {
  std::uint64_t hash = client.ip().size();
  std::uint64_t word = 0;
  std::size_t in_word = 0;
  for (const std::uint8_t byte : client.ip()) {
    word = word << 8 | byte;
    if (++in_word % 8 == 0) hash = mix64(hash + word);
  }
  return mix64(hash + (in_word % 8 == 0 ? 0 : word) + 0x9e3779b97f4a7c15u);
}

struct Owner {
  Claim claim;
  BackendIndex index;
  BackendId id;
  std::uint32_t share;
  const BackendLoad* load;
};

/// Who gets each slot; built from nothing, or from the table before.
class SlotTable {
 public:
  SlotTable(const std::vector<Owner>& owners, unsigned bits)
      : owners_(owners), slots_(std::size_t{1} << bits, kNobody) {}

  void fill();
  /// `new_owner[i]` is what the owner `i` of `old_slots` is now, or kNobody.
  void update(const std::vector<std::uint32_t>& old_slots, const std::vector<std::uint32_t>& new_owner);
  std::vector<std::uint32_t> release() { return std::move(slots_); }

 private:
  bool earlier(std::uint32_t a, std::uint32_t b, std::uint32_t slot) const {
    const Claim& left = owners_[a].claim;
    const Claim& right = owners_[b].claim;
    const std::uint64_t left_time = left.time(slot);
    const std::uint64_t right_time = right.time(slot);
    return left_time != right_time ? left_time < right_time : left.lot(slot) < right.lot(slot);
  }
  std::uint32_t earliest(std::uint32_t slot) const {
    std::uint32_t best = 0;
    std::uint64_t best_time = owners_[0].claim.time(slot);
    for (std::uint32_t i = 1; i < owners_.size(); ++i) {
      const std::uint64_t time = owners_[i].claim.time(slot);
      if (time > best_time || (time == best_time && !earlier(i, best, slot))) continue;
      best = i;
      best_time = time;
    }
    return best;
  }

  const std::vector<Owner>& owners_;
  std::vector<std::uint32_t> slots_;
};

void SlotTable::fill() {
  // Claims come at a rate of ln 2 × weight for each slot. After ln(owners) of them per slot all but one slot
  // in `owners` are decided; for those left it is cheaper to ask everyone. The result does not depend on
  // where this line is drawn, so that the rounding of doubles is harmless.
  double weights = 0;
  for (const Owner& owner : owners_) weights += owner.claim.weight();
  const double claims_per_slot = std::log(static_cast<double>(owners_.size())) + 1;
  const auto until = static_cast<std::uint64_t>(std::ldexp(claims_per_slot / std::log(2.0) / weights, 56));

  std::vector<std::uint64_t> times(slots_.size());
  for (std::uint32_t i = 0; i < owners_.size(); ++i) {
    const Claim& claim = owners_[i].claim;
    for (std::uint32_t rank = 0; rank < slots_.size(); ++rank) {
      const std::uint64_t time = claim.time_of_rank(rank);
      if (time > until) break;
      const std::uint32_t slot = claim.slot_of(rank);
      const std::uint32_t owner = slots_[slot];
      if (owner != kNobody && (time > times[slot] || (time == times[slot] && !earlier(i, owner, slot))))
        continue;
      slots_[slot] = i;
      times[slot] = time;
    }
  }
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot] == kNobody) slots_[slot] = earliest(slot);
  }
}

void SlotTable::update(const std::vector<std::uint32_t>& old_slots,
                       const std::vector<std::uint32_t>& new_owner) {
  std::vector<bool> kept(owners_.size());
  for (const std::uint32_t owner : new_owner) {
    if (owner != kNobody) kept[owner] = true;
  }
  std::vector<std::uint32_t> arrived;
  for (std::uint32_t i = 0; i < owners_.size(); ++i) {
    if (!kept[i]) arrived.push_back(i);
  }
  std::size_t orphans = 0;
  for (const std::uint32_t owner : old_slots) orphans += new_owner[owner] == kNobody ? 1 : 0;
  // From nothing costs about ln(owners) + 2 claims for each slot, and more cache misses.
  const double work = static_cast<double>(orphans) * static_cast<double>(owners_.size()) +
                      static_cast<double>(slots_.size()) * static_cast<double>(arrived.size() * 2);
  const double work_from_nothing =
      2 * static_cast<double>(slots_.size()) * (std::log(static_cast<double>(owners_.size())) + 2);
  if (work > work_from_nothing) return fill();

  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    std::uint32_t owner = new_owner[old_slots[slot]];
    if (owner == kNobody) {
      owner = earliest(slot);
    } else {
      for (const std::uint32_t other : arrived) {
        if (earlier(other, owner, slot)) owner = other;
      }
    }
    slots_[slot] = owner;
  }
}

/// The client's address picks one of 2^n slots, and weighted rendezvous says whose that is: a backend that
/// leaves gives up its own slots only, one that returns takes exactly those again. A client whose backend is
/// tried already, is full, has its bounded share, or admits only others yet (slow start), goes where it would
/// go were that backend not eligible, the same one each time: one claim for each member that has room, some
/// microseconds with 1,000.
class SourceHash final : public Balancer {
 public:
  SourceHash(std::span<const Member> members, const BalancerTerms& terms, const SourceHash* previous)
      : bits_(bits_for(members.size())), bound_(terms.hash_bound), roster_(members) {
    for (const Roster::Seat& seat : roster_.seats()) weights_ += seat.weight_in_force();
    for (const Member& member : members) {
      if (!member.eligible) continue;
      owners_.push_back({Claim(member.name, member.weight, bits_), member.index, member.id,
                         member.share_percent, member.load});
      full_share_ = std::max(full_share_, member.share_percent);
    }
    if (owners_.empty()) return;
    SlotTable table(owners_, bits_);
    if (previous != nullptr && previous->bits_ == bits_ && !previous->owners_.empty()) {
      table.update(previous->slots_, successors(*previous));
    } else {
      table.fill();
    }
    slots_ = table.release();
  }

  std::optional<BackendIndex> pick(const PickInput& input) const override {
    if (owners_.empty()) return std::nullopt;
    const std::uint64_t hash = hash_client(input.client);
    const std::uint32_t rank = slots_[slot_of(hash)];
    const std::uint64_t sessions = bound_ != 0 ? all_sessions() : 0;
    if (admits(owners_[rank], hash) && roster_.may_serve(rank, input) && is_within(rank, sessions))
      return owners_[rank].index;
    const Owner* other = next_best(hash, input);
    if (other == nullptr) return std::nullopt;
    return other->index;
  }

  std::optional<BackendIndex> explain(const PickInput& input,
                                      std::vector<std::string>& because) const override;

 private:
  std::uint32_t slot_of(std::uint64_t hash) const { return static_cast<std::uint32_t>(hash >> (64 - bits_)); }

  /// Slow start: by bits of the hash that the slot does not use, so that a client once admitted stays so
  /// while the share grows. Shares are relative: when nobody has more than 50 %, 50 % is all of it.
  bool admits(const Owner& owner, std::uint64_t hash) const {
    return (hash & 0xffffffffu) * full_share_ >> 32 < owner.share;
  }

  /// The earliest claim among those who may have the client; when none of them admits it, among them all.
  /// Null when nobody is left.
  const Owner* next_best(std::uint64_t hash, const PickInput& input) const {
    // Where those within their bounds are all tried or full somebody goes beyond it.
    if (bound_ != 0)
      if (const Owner* const best = best_of_all(hash, input, true)) return best;
    if (roster_.ranking() == nullptr) return best_of_all(hash, input, false);
    // Of many most may be full: then it is cheaper to ask for those that are not.
    Best best{slot_of(hash)};
    Roster::Rank from = 0;
    for (std::uint32_t few = 0; few < kFewLeft; ++few) {
      const auto rank = from < owners_.size() ? roster_.next(from, input) : std::nullopt;
      if (!rank || *rank < from) return best.owner;
      best.consider(owners_[*rank], admits(owners_[*rank], hash));
      from = *rank + 1;
    }
    return best_of_all(hash, input, false);
  }
  /// `within`: of those alone whom one session more does not take beyond their bounds.
  const Owner* best_of_all(std::uint64_t hash, const PickInput& input, bool within) const {
    const std::uint64_t sessions = within ? all_sessions() : 0;
    Best best{slot_of(hash)};
    for (std::uint32_t rank = 0; rank < owners_.size(); ++rank)
      if (roster_.may_serve(rank, input) && (!within || is_within(rank, sessions)))
        best.consider(owners_[rank], admits(owners_[rank], hash));
    return best.owner;
  }

  struct Best {
    std::uint32_t slot;
    const Owner* owner = nullptr;
    bool admits = false;
    std::uint64_t time = 0;

    void consider(const Owner& other, bool other_admits) {
      if (admits && !other_admits) return;
      const std::uint64_t its = other.claim.time(slot);
      const bool better = owner == nullptr || (other_admits && !admits) || its < time ||
                          (its == time && other.claim.lot(slot) < owner->claim.lot(slot));
      if (!better) return;
      owner = &other;
      admits = other_admits;
      time = its;
    }
  };

  /// All counters are read: about 1 µs for a few hundred members.
  std::uint64_t all_sessions() const {
    std::uint64_t sum = 0;
    for (const Roster::Seat& seat : roster_.seats()) sum += seat.load->active.load(std::memory_order_relaxed);
    return sum;
  }
  /// One session more does not take it beyond its bound (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing
  /// with Bounded Loads"): up to ceil(bound × (sessions + 1) × weight ÷ weights).
  bool is_within(std::uint32_t rank, std::uint64_t sessions) const {
    if (bound_ == 0) return true;
    const Roster::Seat& seat = roster_[rank];
    const double share = bound_ * static_cast<double>(sessions + 1) * seat.weight_in_force() / weights_;
    return seat.load->active.load(std::memory_order_relaxed) + 1.0 <= std::ceil(share);
  }

  std::vector<std::uint32_t> successors(const SourceHash& previous) const {
    std::map<BackendId, std::uint32_t> places;
    for (std::uint32_t i = 0; i < owners_.size(); ++i) places.emplace(owners_[i].id, i);
    std::vector<std::uint32_t> result;
    result.reserve(previous.owners_.size());
    for (const Owner& old : previous.owners_) {
      const auto found = places.find(old.id);
      const bool same = found != places.end() && owners_[found->second].claim.weight() == old.claim.weight();
      result.push_back(same ? found->second : kNobody);
    }
    return result;
  }

  unsigned bits_;
  double bound_;
  double weights_ = 0;
  Roster roster_;
  std::uint32_t full_share_ = 1;
  std::vector<Owner> owners_;         ///< the eligible members, in the roster's order
  std::vector<std::uint32_t> slots_;  ///< places in owners_; empty when there are none
};

std::optional<BackendIndex> SourceHash::explain(const PickInput& input,
                                                std::vector<std::string>& because) const {
  if (owners_.empty()) {
    because.emplace_back("source_hash: nobody is left to choose from");
    return std::nullopt;
  }
  const std::uint64_t hash = hash_client(input.client);
  const std::uint32_t rank = slots_[slot_of(hash)];
  const Owner& owner = owners_[rank];
  because.push_back(fmt::format("source_hash: slot {} of {}", slot_of(hash), slots_.size()));
  because.push_back(fmt::format("slot {} belongs to {}", slot_of(hash), owner.load->name));
  std::string passed_over = why_passed_over(roster_[rank], input);
  if (passed_over.empty() && !is_within(rank, bound_ != 0 ? all_sessions() : 0))
    passed_over =
        fmt::format("{} has its bounded share of the sessions (hash_bound = {})", owner.load->name, bound_);
  if (passed_over.empty() && admits(owner, hash)) return owner.index;
  because.push_back(!passed_over.empty()
                        ? passed_over
                        : fmt::format("{} admits {} % of its clients (slow start or its agent), not this one",
                                      owner.load->name, owner.share * 100 / full_share_));
  const Owner* other = next_best(hash, input);
  if (other == nullptr) {
    because.emplace_back("nobody else is left");
    return std::nullopt;
  }
  because.push_back(fmt::format("next in line for slot {} is {}", slot_of(hash), other->load->name));
  return other->index;
}

}  // namespace

std::unique_ptr<Balancer> build_source_hash(std::span<const Member> members, const BalancerTerms& terms,
                                            const Balancer* previous) {
  return std::make_unique<SourceHash>(members, terms, dynamic_cast<const SourceHash*>(previous));
}

}  // namespace weir
