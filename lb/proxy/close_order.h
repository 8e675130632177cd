#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace weir {

/// The control thread's order to one worker to close its sockets of one listener's address. It can be taken
/// back until the worker is about to close the last of them, so that an address which is wanted again keeps
/// its socket, and whoever is in its queue. Just one of two things comes to pass: take_back() answers true
/// and the worker keeps what it has open, or `closed` is called.
class CloseOrder {
 public:
  /// `closed` is called on the worker's thread once it holds no open socket of that id any more; never when
  /// the worker is destroyed before.
  explicit CloseOrder(std::function<void()> closed) : closed_(std::move(closed)) {}

  /// Control thread. True: the worker keeps its sockets open, and is to be told what becomes of them.
  bool take_back() { return leave_waiting(State::TakenBack); }

  /// Worker's thread, before the last socket is closed. False: it stays open.
  bool begin() { return leave_waiting(State::Closing); }
  /// Worker's thread, after a begin() that was true: the last socket has been closed.
  void done() const { closed_(); }

 private:
  enum class State : std::uint8_t { Waiting, TakenBack, Closing };

  bool leave_waiting(State next) {
    State waiting = State::Waiting;
    return state_.compare_exchange_strong(waiting, next);
  }

  std::atomic<State> state_{State::Waiting};
  const std::function<void()> closed_;
};

}  // namespace weir
