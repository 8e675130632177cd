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

  explicit ProbeSlots(std::size_t limit) : limit_(limit) {}
  /// Those that are over a lowered limit keep their slots until they leave.
  void set_limit(std::size_t limit) {
    limit_ = limit;
    hand_out();
  }

  /// Calls on_slot, now or when there is room.
  void enter(User& user) {
    waiting_.push_back(&user);
    hand_out();
  }
  /// Gives the slot to the next one.
  void leave() {
    --used_;
    hand_out();
  }
  /// Nobody gets a slot any more.
  void close() {
    limit_ = 0;
    waiting_.clear();
  }
  void withdraw(User& user) { std::erase(waiting_, &user); }

 private:
  /// A user may leave from within on_slot (a probe that ends at once): the outermost call goes on then.
  void hand_out() {
    if (handing_out_) return;
    handing_out_ = true;
    while (used_ < limit_ && !waiting_.empty()) {
      User& next = *waiting_.front();
      waiting_.pop_front();
      ++used_;
      next.on_slot();
    }
    handing_out_ = false;
  }

  std::size_t limit_;
  std::size_t used_ = 0;
  bool handing_out_ = false;
  std::deque<User*> waiting_;
};

}  // namespace weir
