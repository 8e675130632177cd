#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace weir {

/// What is to happen to its owner at a time. An owner embeds one; it takes itself out of the wheel when
/// destroyed.
struct Deadline {
  Deadline* previous = nullptr;
  Deadline* next = nullptr;
  std::uint64_t due_ms = 0;

  Deadline() = default;
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  ~Deadline() { unlink(); }

  bool linked() const { return next != nullptr; }
  void unlink() {
    if (!linked()) return;
    previous->next = next;
    next->previous = previous;
    previous = next = nullptr;
  }
};

/// A hierarchical timing wheel (Varghese and Lauck, 1987): set, move and cancel in O(1), exact to the
/// millisecond. Time is passed in and never goes back. A deadline that activity keeps pushing away is best
/// left where it is and looked at when it comes due: then a read costs one store.
class Deadlines {
 public:
  explicit Deadlines(std::uint64_t now_ms);
  ~Deadlines();
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  /// Comes due at `due_ms`, at the next expiry when that is past; 139 years after the start of the clock at
  /// the latest. Moves it when it is set already.
  void set(Deadline& deadline, std::uint64_t due_ms);

  /// Takes out, one after another, what is due at `now_ms`; null when there is no more. Deadlines set
  /// meanwhile, if due, come in this round too.
  Deadline* expire_one(std::uint64_t now_ms) {
    if (now_ms >= earliest_ms_) return take_due(now_ms);
    now_ms_ = std::max(now_ms_, now_ms);
    return nullptr;
  }

  /// A time before which nothing comes due (not always the first deadline itself, which may have been
  /// cancelled since); nothing when there is none.
  std::optional<std::uint64_t> next_ms() const {
    return earliest_ms_ == kNever ? std::nullopt : std::optional(earliest_ms_);
  }

  /// Visits every deadline that is set. `visit` may unlink or destroy the one it is given, and no other.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (auto& level : slots_)
      for (Deadline& head : level)
        for (Deadline* at = head.next; at != &head;) {
          Deadline* const following = at->next;
          visit(*at);
          at = following;
        }
  }

 private:
  static constexpr unsigned kSlotBits = 6;
  static constexpr unsigned kSlots = 1u << kSlotBits;
  /// 64^7 ms = 139 years of uptime: more than a due time may be away from now, since it is kept by absolute
  /// digits, and a wheel that has to wrap around would place it wrongly for some time before.
  static constexpr unsigned kLevels = 7;
  static constexpr std::uint64_t kEndMs = std::uint64_t{1} << (kLevels * kSlotBits);

  struct Place {
    unsigned level;
    unsigned slot;
    std::uint64_t start_ms;  ///< when the slot comes up
  };
  static constexpr std::uint64_t kNever = UINT64_MAX;

  Deadline* take_due(std::uint64_t now_ms);
  Place place_of(std::uint64_t due_ms) const;
  std::optional<Place> first_occupied() const;

  std::uint64_t now_ms_;
  std::uint64_t earliest_ms_ = kNever;  ///< so that a turn in which nothing comes due costs one comparison
  std::array<std::array<Deadline, kSlots>, kLevels> slots_;  // heads of circular lists
  /// A set bit: the slot may hold something. Cleared when it is found empty, since a deadline unlinks itself
  /// unseen.
  mutable std::array<std::uint64_t, kLevels> occupied_{};
};

}  // namespace weir
