#pragma once

#include <sys/resource.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/load/errors.h"
#include "bench/load/event_loop.h"
#include "bench/load/options.h"
#include "bench/load/report.h"

namespace weir::load {

/// CPU time of this process between two moments.
struct CpuTimes {
  double user_seconds = 0;
  double system_seconds = 0;
};
CpuTimes cpu_times_now();

/// The measured part of a run: its length and what it cost this process.
class Meter {
 public:
  void begin(Nanos now);
  void end(Nanos now);
  bool begun() const { return begin_ != kNever; }
  Nanos begun_at() const { return begin_; }
  double elapsed_seconds() const;
  void report(Report& report) const;

 private:
  Nanos begin_ = kNever;
  Nanos end_ = kNever;
  CpuTimes cpu_begin_;
  CpuTimes cpu_end_;
};

/// Connections that failed and wait a moment before they try again, so that a dead target is not hammered.
template <class T>
class RestingPlace {
 public:
  void put(T* item, Nanos until) { queue_.emplace_back(until, item); }
  Nanos next_wakeup() const { return queue_.empty() ? kNever : queue_.front().first; }
  /// The next one that is due at `now`, or null. All rest equally long, so the queue is in order.
  T* take(Nanos now) {
    if (next_wakeup() > now) return nullptr;
    T* item = queue_.front().second;
    queue_.pop_front();
    return item;
  }

 private:
  std::deque<std::pair<Nanos, T*>> queue_;
};

/// What a client mode works with. `finished` is set by the mode when it has nothing left to do.
struct Run {
  Run(EventLoop opened, const ClientOptions& options)
      : loop(std::move(opened)), dialer(options.target, options.dial), common(options) {}

  EventLoop loop;
  Dialer dialer;
  const ClientOptions& common;
  ErrorCounts errors;
  Meter meter;
  bool finished = false;
  bool stopping = false;  ///< SIGINT or SIGTERM: start nothing new

  static constexpr Nanos kRest = 10 * kMillisecond;
  static constexpr Nanos kScanInterval = 50 * kMillisecond;  ///< between two searches for timeouts
};

struct Progress {
  std::uint64_t operations = 0;
  std::uint64_t bytes = 0;
};

class ClientMode {
 public:
  virtual ~ClientMode() = default;
  virtual const char* name() const = 0;
  /// Between two batches of events, and at next_wakeup(): starts what is due, searches for timeouts.
  virtual void turn(Nanos now) = 0;
  virtual Nanos next_wakeup(Nanos now) const = 0;
  virtual Progress progress() const = 0;
  virtual void report(Report& report) const = 0;
  /// What a line that stays says in the place of progress and table; "" = it wants these.
  virtual std::string line() const { return {}; }
};

/// Runs `mode` to its end and prints the outcome; the exit status.
int drive(Run& run, ClientMode& mode);

/// Opens what a client mode needs; complains and returns null when that fails.
std::unique_ptr<Run> open_run(const ClientOptions& options);

/// Prints as `output` asks and judges: the exit status.
int print_report(const Report& report, const ErrorCounts& errors, const OutputOptions& output);

}  // namespace weir::load
