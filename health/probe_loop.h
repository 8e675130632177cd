#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "health/attendance.h"
#include "health/probe.h"
#include "lb/net/loop.h"

namespace weir {

class ProbeLoop;

/// A one-shot alarm of a ProbeLoop. The callback may set, cancel or destroy it.
class Alarm {
 public:
  Alarm(ProbeLoop& loop, std::function<void()> on_due) : loop_(loop), on_due_(std::move(on_due)) {}
  ~Alarm() { cancel(); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void set(std::chrono::nanoseconds at);  ///< replaces an earlier one
  void cancel();
  bool is_set() const { return set_; }

 private:
  friend class ProbeLoop;

  ProbeLoop& loop_;
  std::function<void()> on_due_;
  std::chrono::nanoseconds at_{0};
  bool set_ = false;
};

/// A Loop with what probes need of it beside: alarms by the thousand (one ordered set; the loop sleeps until
/// the first), the time it was away, and disposal at the end of a turn. Its Loop must outlive it.
class ProbeLoop final : public LoopTurn {
 public:
  explicit ProbeLoop(Loop& loop);
  ~ProbeLoop();
  ProbeLoop(const ProbeLoop&) = delete;
  ProbeLoop& operator=(const ProbeLoop&) = delete;

  Loop& loop() { return loop_; }
  std::chrono::nanoseconds now() const { return loop_.now(); }  ///< read once for each wake-up
  std::chrono::nanoseconds read_clock() { return loop_.refresh_now(); }
  std::chrono::nanoseconds absence() const { return attendance_.absence(); }

  /// While probes run, the loop wakes at least every 100 ms, so that an absence is seen however long the next
  /// alarm is off.
  void probe_began() { ++probes_running_; }
  void probe_ended() { --probes_running_; }
  std::size_t probes_running() const { return probes_running_; }

  /// Cancels a probe, and destroys it at the end of this turn: until then events may still come for it.
  void bury(std::unique_ptr<Probe> probe);

  Millis on_turn_end() override;

 private:
  friend class Alarm;
  using Entry = std::pair<std::chrono::nanoseconds, Alarm*>;

  void ring_due();
  std::chrono::nanoseconds longest_sleep() const;

  Loop& loop_;
  std::set<Entry> alarms_;
  std::vector<std::unique_ptr<Probe>> graveyard_;
  Attendance attendance_;
  std::size_t probes_running_ = 0;
};

}  // namespace weir
