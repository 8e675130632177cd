#include <string>
#include <vector>

#include "bench/load/client.h"
#include "bench/load/exchange.h"

namespace weir::load {

namespace {

/// Short connections: connect, one exchange, close.
class Churn final : public ClientMode {
 public:
  Churn(Run& run, const ChurnOptions& options);

  const char* name() const override { return "churn"; }
  void turn(Nanos now) override;
  Nanos next_wakeup(Nanos now) const override;
  Progress progress() const override;
  void report(Report& report) const override;

 private:
  struct Connection final : EventHandler {
    void on_ready(std::uint32_t events) override { churn->advance(*this, events); }

    Churn* churn = nullptr;
    Fd fd;
    Exchange exchange;
    Nanos intended = 0;
    Nanos started = 0;
  };

  void start(Connection& connection, Nanos intended);
  void advance(Connection& connection, std::uint32_t events);
  void succeed(Connection& connection);
  void fail(Connection& connection, ErrorKind kind);
  void end_timed_out(Nanos now);
  void finish_when_done(Nanos now);

  Run& run_;
  ChurnOptions options_;
  std::string preface_;
  Schedule schedule_;
  Pattern pattern_;
  std::vector<char> scratch_;
  std::vector<Connection> connections_;
  std::vector<Connection*> free_;
  RestingPlace<Connection> resting_;
  Histogram latency_;
  Histogram start_lag_;
  std::uint64_t completed_ = 0;
  std::uint64_t next_offset_ = 0;
  Nanos next_scan_ = 0;
  unsigned in_flight_ = 0;
};

Churn::Churn(Run& run, const ChurnOptions& options)
    : run_(run),
      options_(options),
      preface_(preface_bytes(options.preface)),
      schedule_(run.common.schedule),
      pattern_(std::max(options.shape.request_bytes, options.shape.answer_bytes)),
      scratch_(64 * 1024),
      connections_(options.concurrency) {
  options_.shape.preface = preface_;
  for (Connection& connection : connections_) {
    connection.churn = this;
    free_.push_back(&connection);
  }
}

void Churn::turn(Nanos now) {
  if (!run_.meter.begun()) {
    run_.meter.begin(now);
    schedule_.begin(now);
  }
  if (now >= next_scan_) {
    end_timed_out(now);
    next_scan_ = now + Run::kScanInterval;
  }
  while (Connection* rested = resting_.take(now)) free_.push_back(rested);
  // No more than there were free ones at first: one that fails at once is not tried again in the same turn.
  for (std::size_t budget = free_.size(); budget > 0 && !run_.stopping; --budget) {
    const Nanos start_time = monotonic_now();
    const auto intended = schedule_.take(start_time);
    if (!intended) break;
    Connection& connection = *free_.back();
    free_.pop_back();
    connection.started = start_time;
    start(connection, *intended);
  }
  finish_when_done(now);
}

void Churn::start(Connection& connection, Nanos intended) {
  ++in_flight_;
  connection.intended = intended;
  start_lag_.record(static_cast<std::uint64_t>(connection.started - intended));
  Dialer::Dial dial = run_.dialer.dial();
  if (dial.error != 0) return fail(connection, kind_of_errno(dial.error, true));
  connection.fd = std::move(dial.fd);
  connection.exchange.begin(next_offset_, options_.shape);
  next_offset_ += 97;
  // On loopback the connection is up already, and the request leaves without a wait for "writable".
  const Step sent = connection.exchange.send(connection.fd.get(), pattern_);
  if (sent == Step::Failed) return fail(connection, connection.exchange.error());
  std::uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  if (sent == Step::Waiting) events |= EPOLLOUT;
  if (!run_.loop.add(connection.fd.get(), events, connection)) fail(connection, ErrorKind::Other);
}

void Churn::advance(Connection& connection, std::uint32_t events) {
  Exchange& exchange = connection.exchange;
  const int fd = connection.fd.get();
  if (!exchange.all_sent() && exchange.send(fd, pattern_) == Step::Failed)
    return fail(connection, exchange.error());
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return;
  const bool to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  switch (exchange.receive(fd, pattern_, scratch_, to_the_end)) {
    case Step::Waiting:
      return;
    case Step::Failed:
      return fail(connection, exchange.error());
    case Step::Done:
      return succeed(connection);
  }
}

void Churn::succeed(Connection& connection) {
  latency_.record(static_cast<std::uint64_t>(monotonic_now() - connection.intended));
  ++completed_;
  --in_flight_;
  connection.fd.reset();
  free_.push_back(&connection);
}

void Churn::fail(Connection& connection, ErrorKind kind) {
  run_.errors.add(kind);
  --in_flight_;
  connection.fd.reset();
  resting_.put(&connection, monotonic_now() + (schedule_.open_loop() ? 0 : Run::kRest));
}

void Churn::end_timed_out(Nanos now) {
  for (Connection& connection : connections_) {
    if (!connection.fd || now - connection.started < run_.common.timeout) continue;
    fail(connection, connection.exchange.under_way() ? ErrorKind::Timeout : ErrorKind::ConnectTimeout);
  }
}

void Churn::finish_when_done(Nanos now) {
  // After the last intended start, what is overdue is still worked off, for as long as one answer may take.
  if (now >= schedule_.end() && now - schedule_.end() > run_.common.timeout && !run_.stopping)
    run_.errors.add(ErrorKind::NotStarted, schedule_.abandon(now));
  run_.finished = in_flight_ == 0 && (run_.stopping || schedule_.next_due(now) == kNever);
}

Nanos Churn::next_wakeup(Nanos now) const {
  Nanos next = std::min(next_scan_, resting_.next_wakeup());
  if (!free_.empty() && !run_.stopping) next = std::min(next, schedule_.next_due(now));
  return next;
}

Progress Churn::progress() const {
  return {completed_, completed_ * (options_.shape.request_bytes + options_.shape.answer_bytes)};
}

void Churn::report(Report& report) const {
  const double seconds = run_.meter.elapsed_seconds();
  report.add_count("connections_started", schedule_.taken());
  report.add_count("connections_completed", completed_);
  report.add("connections_per_second", static_cast<double>(completed_) / seconds);
  report.add_latency("latency", latency_);
  if (schedule_.open_loop()) report.add_latency("start_lag", start_lag_);
}

}  // namespace

int run_churn(const ClientOptions& common, const ChurnOptions& options) {
  const auto run = open_run(common);
  if (!run) return 1;
  Churn churn(*run, options);
  return drive(*run, churn);
}

}  // namespace weir::load
