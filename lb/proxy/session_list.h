#pragma once

#include <cstdint>

namespace weir {

/// A place in a SessionList: a session's, or that of a Sweeper. Takes itself out when destroyed.
struct ListPlace {
  ListPlace* previous = nullptr;
  ListPlace* next = nullptr;

  ListPlace() = default;
  ListPlace(const ListPlace&) = delete;
  ListPlace& operator=(const ListPlace&) = delete;
  ~ListPlace() { unlink(); }

  bool linked() const { return next != nullptr; }
  void unlink() {
    if (!linked()) return;
    previous->next = next;
    next->previous = previous;
    previous = next = nullptr;
  }
  void insert_after(ListPlace& place) {
    unlink();
    previous = &place;
    next = place.next;
    place.next->previous = this;
    place.next = this;
  }
};

/// The sessions of one worker in the order of their accepts. Holds their places; who owns them is the
/// Worker's affair.
class SessionList {
 public:
  SessionList() { head_.previous = head_.next = &head_; }
  ~SessionList() { head_.previous = head_.next = nullptr; }
  SessionList(const SessionList&) = delete;
  SessionList& operator=(const SessionList&) = delete;

  void append(ListPlace& place) { place.insert_after(*head_.previous); }
  void prepend(ListPlace& place) { place.insert_after(head_); }
  /// The first place after `place`, or of all; null at the end.
  ListPlace* first() { return after(head_); }
  ListPlace* after(ListPlace& place) { return place.next == &head_ ? nullptr : place.next; }

 private:
  ListPlace head_;
};

}  // namespace weir
