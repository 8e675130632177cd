#pragma once

#include <cstddef>
#include <deque>

namespace weir {

/// How many probes may run at once. What finds no room waits in order.
class ProbeSlots {
 public:
  class User {
   public:
    /// It has a slot now.
    virtual void on_slot() = 0;

   protected:
    ~User() = default;
  };

  explicit ProbeSlots(std::size_t limit) : free_(limit) {}

  /// Calls on_slot, now or when there is room.
  void enter(User& user) {
    if (free_ == 0) return waiting_.push_back(&user);
    --free_;
    user.on_slot();
  }
  /// Gives the slot to the next one.
  void leave() {
    if (closed_) return;
    ++free_;
    if (waiting_.empty()) return;
    User& next = *waiting_.front();
    waiting_.pop_front();
    enter(next);
  }
  /// Nobody gets a slot any more.
  void close() {
    free_ = 0;
    waiting_.clear();
    closed_ = true;
  }
  void withdraw(User& user) { std::erase(waiting_, &user); }

 private:
  std::size_t free_;
  bool closed_ = false;
  std::deque<User*> waiting_;
};

}  // namespace weir
