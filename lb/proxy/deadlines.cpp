#include "lb/proxy/deadlines.h"

#include <algorithm>
#include <bit>

#include "lb/base/error.h"

namespace weir {

Deadlines::Deadlines(std::uint64_t now_ms) : now_ms_(now_ms) {
  WEIR_CHECK(now_ms < kEndMs);
  for (auto& level : slots_)
    for (Deadline& head : level) head.previous = head.next = &head;
}

Deadlines::~Deadlines() {
  for_each([](Deadline& deadline) { deadline.unlink(); });
}

Deadlines::Place Deadlines::place_of(std::uint64_t due_ms) const {
  // The level is that of the highest 6-bit digit in which due and now differ.
  const std::uint64_t differing = (due_ms ^ now_ms_) | (kSlots - 1);
  const unsigned level = (63u - static_cast<unsigned>(std::countl_zero(differing))) / kSlotBits;
  const unsigned shift = level * kSlotBits;
  return {level, static_cast<unsigned>(due_ms >> shift) & (kSlots - 1), (due_ms >> shift) << shift};
}

void Deadlines::set(Deadline& deadline, std::uint64_t due_ms) {
  deadline.unlink();
  deadline.due_ms = std::clamp(due_ms, now_ms_, kEndMs - 1);
  const Place place = place_of(deadline.due_ms);
  Deadline& head = slots_[place.level][place.slot];
  deadline.previous = head.previous;
  deadline.next = &head;
  head.previous->next = &deadline;
  head.previous = &deadline;
  occupied_[place.level] |= std::uint64_t{1} << place.slot;
  earliest_ms_ = std::min(earliest_ms_, place.start_ms);
}

std::optional<Deadlines::Place> Deadlines::first_occupied() const {
  for (unsigned level = 0; level < kLevels; ++level) {
    const unsigned shift = level * kSlotBits;
    const unsigned current = static_cast<unsigned>(now_ms_ >> shift) & (kSlots - 1);
    while (occupied_[level] != 0) {
      // A level only holds slots from the current one to the end of its digit: later ones differ in a higher
      // digit.
      const unsigned slot = static_cast<unsigned>(std::countr_zero(occupied_[level]));
      const Deadline& head = slots_[level][slot];
      if (head.next == &head) {
        occupied_[level] &= ~(std::uint64_t{1} << slot);
        continue;
      }
      const std::uint64_t digit_start = (now_ms_ >> (shift + kSlotBits)) << (shift + kSlotBits);
      WEIR_CHECK(slot >= current);
      return Place{level, slot, std::max(now_ms_, digit_start + (std::uint64_t{slot} << shift))};
    }
  }
  return std::nullopt;
}

Deadline* Deadlines::take_due(std::uint64_t now_ms) {
  earliest_ms_ = kNever;
  while (const auto place = first_occupied()) {
    if (place->start_ms > now_ms) {
      earliest_ms_ = place->start_ms;
      break;
    }
    now_ms_ = std::max(now_ms_, place->start_ms);
    Deadline& head = slots_[place->level][place->slot];
    if (place->level == 0) {
      Deadline* const deadline = head.next;
      deadline->unlink();
      earliest_ms_ = 0;  // there may be more
      return deadline;
    }
    // All of them go down, one level at least: one that stayed would be passed over for later ones below.
    while (head.next != &head) set(*head.next, head.next->due_ms);
  }
  now_ms_ = std::max(now_ms_, now_ms);
  return nullptr;
}

}  // namespace weir
