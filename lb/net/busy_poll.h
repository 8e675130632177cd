#pragma once

#include <chrono>
#include <cstdint>

#include "lb/base/state.h"

namespace weir {

/// When a loop polls its descriptors for a moment before it sleeps: waking a sleeping CPU takes longer than
/// most answers do to come. Of BusyPoll::Auto it takes traffic that shows it: sleeps so short, one after the
/// other, that polling would have met their end. What polling then finds keeps it going. Two moments in vain
/// end it, or a quarter of them, and so does a loop that works for longer than it waits: there sleep costs
/// little, and what comes meanwhile is met in one go. Each time it begins again after twice as many sleeps.
/// Pure: it is told what happened. One thread.
class BusyPolling {
 public:
  using Nanos = std::chrono::nanoseconds;

  /// How long to poll: twice the time that a CPU takes to wake and be woken for an answer on this host.
  /// Measured.
  static constexpr Nanos kWindow = std::chrono::microseconds(100);
  /// A gap this long between two polls, which take less than one: somebody else had the CPU, and is to have
  /// it.
  static constexpr Nanos kTaken = std::chrono::microseconds(20);
  /// A turn that moves as much is busy with bulk, for which latency is nothing.
  static constexpr std::uint64_t kBulkBytes = 64 * 1024;

  void set(BusyPoll how) { *this = BusyPolling(how); }

  /// Whether the loop is to poll before it sleeps, and until when if nothing happens: for the window, or, of
  /// BusyPoll::Always, instead of the sleep.
  bool polls() const { return polling_; }
  bool instead_of_sleep() const { return how_ == BusyPoll::Always; }

  /// The loop has slept. `between`: this wake-up and the one before, the work of that turn included.
  void on_slept(Nanos between) {
    if (how_ != BusyPoll::Auto || polling_) return;
    short_sleeps_ = between < 2 * kWindow ? short_sleeps_ + 1 : 0;
    if (short_sleeps_ >= needed_) begin();
  }
  /// Polling has met an event. `worked`: from the wake-up before until it began; `waited`: since then.
  void on_hit(Nanos worked, Nanos waited) {
    if (how_ != BusyPoll::Auto) return;
    in_vain_ = 0;
    worked_ += worked;
    waited_ += waited;
    if (++hits_ == kHitsToForget) needed_ = kFewestSleeps;
    weigh();
  }
  /// The window has passed without one, or the CPU was taken away meanwhile.
  void on_vain() {
    if (how_ != BusyPoll::Auto) return;
    ++vain_;
    if (++in_vain_ == kMostInVain)
      leave();
    else
      weigh();
  }
  void on_bulk() {
    if (how_ != BusyPoll::Auto) return;
    if (polling_) leave();
    short_sleeps_ = 0;
  }

  BusyPolling() = default;

 private:
  static constexpr std::uint32_t kFewestSleeps = 8, kMostSleeps = 1'024;
  static constexpr std::uint32_t kHitsToForget = 1'024;
  static constexpr std::uint32_t kPollsToWeigh = 64;
  static constexpr std::uint32_t kMostVain = kPollsToWeigh / 4;
  static constexpr std::uint32_t kMostInVain = 2;

  explicit BusyPolling(BusyPoll how) : how_(how), polling_(how == BusyPoll::Always) {}
  void begin() {
    polling_ = true;
    in_vain_ = hits_ = 0;
    forget_polls();
  }
  void weigh() {
    if (++polls_ < kPollsToWeigh) return;
    if (waited_ < worked_ || vain_ > kMostVain) leave();
    forget_polls();
  }
  void forget_polls() {
    polls_ = vain_ = 0;
    worked_ = waited_ = Nanos(0);
  }
  void leave() {
    polling_ = false;
    short_sleeps_ = 0;
    if (needed_ < kMostSleeps) needed_ *= 2;
  }

  BusyPoll how_ = BusyPoll::Off;
  bool polling_ = false;
  std::uint32_t needed_ = kFewestSleeps;  ///< short sleeps in a row, to begin
  std::uint32_t short_sleeps_ = 0;
  std::uint32_t in_vain_ = 0;  ///< in a row
  std::uint32_t hits_ = 0;     ///< since it began
  std::uint32_t polls_ = 0;    ///< since they were weighed, as all that follows
  std::uint32_t vain_ = 0;
  Nanos worked_{0}, waited_{0};  ///< of hits
};

}  // namespace weir
