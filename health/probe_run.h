#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "health/probe.h"
#include "health/probe_loop.h"

namespace weir {

/// What a probe looks at: a backend, or several in different pools that are one and the same to the probe.
struct ProbeSubject {
  std::vector<Address> addresses;  ///< never empty; with the probe's own port, if it has one
  ProbeConfig config;
  std::string pool;     ///< of the first of them
  std::string backend;  ///< of the first of them
};

struct RunResult {
  Outcome outcome;
  std::string text;  ///< why it did not pass
  std::chrono::nanoseconds latency;
  bool held_up = false;  ///< OwnTrouble, because the loop was away while it ran: worth running again at once
};

/// One run of a check within its timeout: over the addresses in order until one can be connected to, each
/// with an even share of the time that is left (so that a silent first address does not hide the others).
/// What one address says does not hide what another says: it passes by any one of them; it fails when none
/// passed and one at least has been judged; it is our own trouble when none could be, or when a shortage ends
/// it. Time in which the loop was away does not count.
class ProbeRun {
 public:
  /// `done` is called once, possibly from within start(), and must not destroy the run; nor may anything else
  /// that happens on its stack.
  ProbeRun(ProbeLoop& loop, ProbeFactory& factory, const ProbeSubject& subject,
           std::function<void(RunResult)> done);
  ~ProbeRun();  ///< cancels
  ProbeRun(const ProbeRun&) = delete;
  ProbeRun& operator=(const ProbeRun&) = delete;

  void start();
  bool finished() const { return finished_; }

 private:
  void try_address();
  void on_done(ProbeResult result);
  void on_alarm();
  bool try_next(const ProbeResult& result);
  std::string all_said(const std::string& text) const;
  void finish(RunResult result);
  std::chrono::nanoseconds attended(std::chrono::nanoseconds now) const;
  std::chrono::nanoseconds absent() const { return loop_.absence() - absence_before_; }

  ProbeLoop& loop_;
  ProbeFactory& factory_;
  const ProbeSubject& subject_;
  std::function<void(RunResult)> done_;
  Alarm alarm_;
  std::unique_ptr<Probe> probe_;
  std::size_t index_ = 0;
  std::string earlier_;      ///< of the addresses before, why they did not pass
  bool judged_one_ = false;  ///< an address has failed, and not by our own trouble
  std::chrono::nanoseconds started_{0};
  std::chrono::nanoseconds attempt_started_{0};
  std::chrono::nanoseconds absence_before_{0};
  std::chrono::nanoseconds limit_{0};  ///< of attended time since the start, for this address
  bool running_ = false;
  bool finished_ = false;
};

}  // namespace weir
