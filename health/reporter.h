#pragma once

#include <deque>
#include <functional>
#include <string>
#include <unordered_map>

#include "health/probe_loop.h"
#include "lb/balance/backend.h"

namespace weir {

/// What the checker has to say about one backend.
struct HealthReport {
  BackendId id;
  Health health;
  std::string reason;     ///< a sentence for the operator
  bool on_trial = false;  ///< up, but for one session alone
  /// False: the same health as before, only the reason is new. Such reports are few (at most
  /// kRefreshesPerSecond in all), and may wait.
  bool transition = true;
};

/// Passes reports on: transitions at once, new reasons of an unchanged health at a bounded rate, the latest
/// of each backend only.
class Reporter {
 public:
  static constexpr std::size_t kRefreshesPerSecond = 32;

  Reporter(ProbeLoop& loop, std::function<void(HealthReport)> report);

  void transition(HealthReport report);
  void refresh(BackendId id, Health health, std::string reason);
  /// Nothing that still waits is said of this backend.
  void forget(BackendId id);

 private:
  void flush();

  ProbeLoop& loop_;
  std::function<void(HealthReport)> report_;
  std::unordered_map<BackendId, HealthReport> waiting_;
  std::deque<BackendId> order_;
  Alarm alarm_;
  std::chrono::nanoseconds next_flush_{0};
};

}  // namespace weir
