#include "bench/load/client.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace weir::load {

CpuTimes cpu_times_now() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return {seconds(usage.ru_utime), seconds(usage.ru_stime)};
}

void Meter::begin(Nanos now) {
  begin_ = now;
  cpu_begin_ = cpu_times_now();
}

void Meter::end(Nanos now) {
  if (!begun() || end_ != kNever) return;
  end_ = now;
  cpu_end_ = cpu_times_now();
}

double Meter::elapsed_seconds() const {
  if (!begun()) return 0;
  return to_seconds((end_ == kNever ? monotonic_now() : end_) - begin_);
}

void Meter::report(Report& report) const {
  report.add("elapsed_seconds", elapsed_seconds());
  report.add("own_cpu_user_seconds", cpu_end_.user_seconds - cpu_begin_.user_seconds);
  report.add("own_cpu_system_seconds", cpu_end_.system_seconds - cpu_begin_.system_seconds);
}

std::unique_ptr<Run> open_run(const ClientOptions& options) {
  auto loop = EventLoop::open();
  if (!loop) {
    fmt::print(stderr, "weir-bench: {}\n", loop.error().message);
    return nullptr;
  }
  return std::make_unique<Run>(std::move(*loop), options);
}

int print_report(const Report& report, const ErrorCounts& errors, const OutputOptions& output) {
  if (output.json) fmt::print("{}\n", report.to_json());
  if (!output.json || !output.quiet) fmt::print(output.json ? stderr : stdout, "{}", report.to_table());
  std::fflush(stdout);
  return errors.total() > 0 && !output.allow_errors ? 1 : 0;
}

namespace {

/// One line a second on a terminal; or the mode's own, in one place there and one below the other elsewhere.
class ProgressLine {
 public:
  ProgressLine(const Run& run, const ClientMode& mode)
      : run_(run), mode_(mode), own_(!mode.line().empty()), in_place_(::isatty(STDOUT_FILENO) == 1) {
    if (own_) {
      next_ = monotonic_now();
      return;
    }
    const auto& duration = run.common.schedule.duration;
    const bool is_short = duration && *duration <= 2 * kSecond;
    if (::isatty(STDERR_FILENO) == 1 && !is_short && !run.common.output.quiet)
      next_ = monotonic_now() + kSecond;
  }

  Nanos next() const { return next_; }

  void print_when_due(Nanos now) {
    if (now < next_) return;
    if (own_) {
      print_own();
      next_ = now + (in_place_ ? kOften : kSecond);
      return;
    }
    const Progress total = mode_.progress();
    const double seconds = to_seconds(now - next_ + kSecond);
    fmt::print(stderr, "{} {:6.1f} s  {:10.0f} operations/s  {:8.1f} MB/s  {} errors\n", mode_.name(),
               run_.meter.elapsed_seconds(),
               static_cast<double>(total.operations - last_.operations) / seconds,
               static_cast<double>(total.bytes - last_.bytes) / seconds / 1e6, run_.errors.total());
    last_ = total;
    next_ = now + kSecond;
  }

  /// The end of a mode's own line. False: it has none.
  bool finish() const {
    if (own_) print_own();
    if (own_ && in_place_) fmt::print("\n");
    return own_;
  }

 private:
  static constexpr Nanos kOften = 200 * kMillisecond;

  void print_own() const {
    // One that wraps would leave its beginning behind.
    winsize window{};
    const bool known = in_place_ && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1;
    const std::string line =
        mode_.line().substr(0, known ? std::size_t{window.ws_col} - 1 : std::string::npos);
    fmt::print("{}{}{}", in_place_ ? "\r" : "", line, in_place_ ? "\x1b[K" : "\n");
    std::fflush(stdout);
  }

  const Run& run_;
  const ClientMode& mode_;
  const bool own_, in_place_;
  Progress last_;
  Nanos next_ = kNever;
};

}  // namespace

int drive(Run& run, ClientMode& mode) {
  ProgressLine line(run, mode);
  for (;;) {
    const Nanos now = monotonic_now();
    run.stopping = run.stopping || run.loop.stop_asked();
    mode.turn(now);
    if (run.finished) break;
    line.print_when_due(now);
    run.loop.wait(std::min(mode.next_wakeup(now), line.next()));
  }
  run.meter.end(monotonic_now());
  if (line.finish()) return run.errors.total() > 0 && !run.common.output.allow_errors ? 1 : 0;
  Report report;
  report.add("mode", mode.name());
  report.add("target", run.common.target.to_string());
  run.meter.report(report);
  mode.report(report);
  report.set_errors(run.errors);
  return print_report(report, run.errors, run.common.output);
}

}  // namespace weir::load
