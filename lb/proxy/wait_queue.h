#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "lb/balance/backend.h"
#include "lb/balance/wait_for.h"

namespace weir {

/// One thing that sessions wait for.
struct WaitKey {
  WaitFor why = WaitFor::Descriptor;
  /// The backend's whose port or backlog it is, the PoolLoad's in whose pool there is to be room; 0: a
  /// descriptor of the process's.
  std::uint32_t of = 0;

  friend auto operator<=>(const WaitKey&, const WaitKey&) = default;
};

/// One session that waits, by the order in which it is served: that of the accepts, over all workers.
struct Waiter {
  std::int64_t accepted_ns = 0;  ///< by the monotonic clock
  std::uint32_t worker = 0;
  std::uint64_t session = 0;  ///< its number there

  friend auto operator<=>(const Waiter&, const Waiter&) = default;
};

/// Who waits for what, and who may try next. Pure: the time is passed in, and a call is an answer of next()
/// that its user delivers.
///
/// What is waited for has to be tried, since nobody can say for certain that it is there: so the first of a
/// queue is *called*, one at a time, when something was given back (wake) or a while has passed (10 ms,
/// doubling to 100 ms while tries fail). A try that succeeds calls the next at once; one that fails puts its
/// session back to its place, the first. One for which what there is will not do (a backend that it has
/// tried) lets the next one try.
class WaitQueue {
 public:
  static constexpr std::uint64_t kFirstPauseMs = 10;
  static constexpr std::uint64_t kLongestPauseMs = 100;

  struct Call {
    WaitKey key;
    Waiter waiter;
  };

  /// A session begins to wait.
  void add(WaitKey key, Waiter waiter, std::uint64_t now_ms);
  /// It has ended or given up before it was called. No-op when it has been called: then its worker says so
  /// with returned().
  void withdraw(WaitKey key, const Waiter& waiter);
  /// Something of it has become free, perhaps.
  void wake(WaitKey key, std::uint64_t now_ms);

  // What has become of a call; one of these for each.

  void succeeded(WaitKey key, std::uint64_t now_ms);
  /// `particular`: another one may have better luck at once.
  void failed(WaitKey key, const Waiter& waiter, bool particular, std::uint64_t now_ms);
  /// The session had gone: the next one is called.
  void returned(WaitKey key, std::uint64_t now_ms) { succeeded(key, now_ms); }

  /// Who is called now; nothing when nobody is. Ask until then.
  std::optional<Call> next(std::uint64_t now_ms);
  /// When to ask again; nothing when only news can change the answer.
  std::optional<std::uint64_t> due_ms() const;
  bool empty() const { return queues_.empty(); }

 private:
  struct Queue {
    std::set<Waiter> waiters;
    bool calling = false;             ///< somebody has been called and has not answered
    bool woken = false;               ///< meanwhile
    std::optional<Waiter> passed_on;  ///< whoever comes after this one is called next
    std::uint64_t due_ms = 0;
    std::uint64_t pause_ms = kFirstPauseMs;
  };
  void drop_if_idle(WaitKey key);

  std::map<WaitKey, Queue> queues_;
};

}  // namespace weir
