#pragma once

#include <deque>
#include <functional>
#include <string>
#include <unordered_map>

#include "health/probe_loop.h"
#include "lb/balance/health_report.h"

namespace weir {

/// Passes reports on: transitions at once, new reasons of an unchanged health at a bounded rate, the latest
/// of each backend only. Knows of no lives: the Checker adds them.
class Reporter {
 public:
  static constexpr std::size_t kRefreshesPerSecond = 32;

  Reporter(ProbeLoop& loop, std::function<void(HealthReport)> report);

  void transition(BackendId id, Health health, std::string reason, bool on_trial = false);
  /// `against`: probe results in a row that speak against `health`.
  void refresh(BackendId id, Health health, std::string reason, std::uint32_t against = 0);
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
