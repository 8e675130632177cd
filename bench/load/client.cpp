#include "bench/load/client.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

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

/// One line a second on a terminal.
class ProgressLine {
 public:
  ProgressLine(const Run& run, const ClientMode& mode) : run_(run), mode_(mode) {
    const auto& duration = run.common.schedule.duration;
    const bool is_short = duration && *duration <= 2 * kSecond;
    if (::isatty(STDERR_FILENO) == 1 && !is_short && !run.common.output.quiet)
      next_ = monotonic_now() + kSecond;
  }

  Nanos next() const { return next_; }

  void print_when_due(Nanos now) {
    if (now < next_) return;
    const Progress total = mode_.progress();
    const double seconds = to_seconds(now - next_ + kSecond);
    fmt::print(stderr, "{} {:6.1f} s  {:10.0f} operations/s  {:8.1f} MB/s  {} errors\n", mode_.name(),
               run_.meter.elapsed_seconds(),
               static_cast<double>(total.operations - last_.operations) / seconds,
               static_cast<double>(total.bytes - last_.bytes) / seconds / 1e6, run_.errors.total());
    last_ = total;
    next_ = now + kSecond;
  }

 private:
  const Run& run_;
  const ClientMode& mode_;
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
  Report report;
  report.add("mode", mode.name());
  report.add("target", run.common.target.to_string());
  run.meter.report(report);
  mode.report(report);
  report.set_errors(run.errors);
  return print_report(report, run.errors, run.common.output);
}

}  // namespace weir::load
