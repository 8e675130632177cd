#include <algorithm>
#include <deque>
#include <vector>

#include "bench/load/client.h"
#include "bench/load/exchange.h"

namespace weir::load {

namespace {

/// Persistent sessions that exchange messages. Each session's first exchange is not measured: behind a
/// balancer it pays for the connect to the backend.
class RoundTrips final : public ClientMode {
 public:
  RoundTrips(Run& run, const RoundTripOptions& options);

  const char* name() const override { return "rr"; }
  void turn(Nanos now) override;
  Nanos next_wakeup(Nanos now) const override;
  Progress progress() const override { return {completed_, 2 * completed_ * shape_.request_bytes}; }
  void report(Report& report) const override;

 private:
  struct Session final : EventHandler {
    void on_ready(std::uint32_t events) override { mode->advance(*this, events); }

    RoundTrips* mode = nullptr;
    Fd fd;
    Exchange exchange;
    Nanos intended = 0;
    Nanos started = 0;
    bool warm = false;  ///< has done its first exchange
    bool busy = false;
  };

  void connect(Session& session, Nanos now);
  void begin_exchange(Session& session, Nanos intended, Nanos now);
  void advance(Session& session, std::uint32_t events);
  void succeed(Session& session);
  void fail(Session& session, ErrorKind kind);
  void end_timed_out(Nanos now);
  void begin_when_warm(Nanos now);
  void finish_when_done(Nanos now);

  Run& run_;
  Exchange::Shape shape_;
  Schedule schedule_;
  Pattern pattern_;
  std::vector<char> scratch_;
  std::vector<Session> sessions_;
  std::deque<Session*> ready_;  ///< warm and not busy, the longest waiting first
  RestingPlace<Session> resting_;
  Histogram latency_;
  Histogram start_lag_;
  std::uint64_t completed_ = 0;
  std::uint64_t next_offset_ = 0;
  std::uint64_t reconnects_ = 0;
  Nanos give_up_warming_ = kNever;
  Nanos next_scan_ = 0;
  Nanos last_success_ = 0;
  std::size_t measured_in_flight_ = 0;
};

RoundTrips::RoundTrips(Run& run, const RoundTripOptions& options)
    : run_(run),
      shape_{options.message_bytes, options.message_bytes, false},
      schedule_(run.common.schedule),
      pattern_(options.message_bytes),
      scratch_(64 * 1024),
      sessions_(options.sessions) {
  const Nanos now = monotonic_now();
  give_up_warming_ = now + run.common.timeout;
  for (Session& session : sessions_) {
    session.mode = this;
    resting_.put(&session, now);
  }
}

void RoundTrips::connect(Session& session, Nanos now) {
  if (session.started != 0) ++reconnects_;
  session.started = now;
  Dialer::Dial dial = run_.dialer.dial();
  if (dial.error != 0) return fail(session, kind_of_errno(dial.error, true));
  session.fd = std::move(dial.fd);
  if (!run_.loop.add(session.fd.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, session))
    return fail(session, ErrorKind::Other);
  begin_exchange(session, now, now);
}

void RoundTrips::begin_exchange(Session& session, Nanos intended, Nanos now) {
  session.intended = intended;
  session.started = now;
  session.busy = true;
  if (session.warm) ++measured_in_flight_;
  session.exchange.begin(next_offset_, shape_);
  next_offset_ += 97;
  if (session.exchange.send(session.fd.get(), pattern_) == Step::Failed)
    fail(session, session.exchange.error());
}

void RoundTrips::advance(Session& session, std::uint32_t events) {
  Exchange& exchange = session.exchange;
  const int fd = session.fd.get();
  const bool to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (!session.busy) {
    // Nothing is owed to an idle session: it has ended, or something came unasked.
    if (to_the_end) return fail(session, (events & EPOLLERR) != 0 ? ErrorKind::Reset : ErrorKind::EarlyEnd);
    if ((events & EPOLLIN) != 0) return fail(session, ErrorKind::WrongBytes);
    return;
  }
  if (!exchange.all_sent() && exchange.send(fd, pattern_) == Step::Failed)
    return fail(session, exchange.error());
  if ((events & EPOLLIN) == 0 && !to_the_end) return;
  switch (exchange.receive(fd, pattern_, scratch_, to_the_end)) {
    case Step::Waiting:
      return;
    case Step::Failed:
      return fail(session, exchange.error());
    case Step::Done:
      return succeed(session);
  }
}

void RoundTrips::succeed(Session& session) {
  const Nanos now = monotonic_now();
  session.busy = false;
  last_success_ = now;
  if (session.warm) {
    latency_.record(static_cast<std::uint64_t>(now - session.intended));
    ++completed_;
    --measured_in_flight_;
  }
  session.warm = true;
  // In a closed loop the next message leaves at once; in an open one turn() decides who sends it.
  if (run_.meter.begun() && !schedule_.open_loop() && !run_.stopping) {
    if (const auto intended = schedule_.take(now)) return begin_exchange(session, *intended, now);
  }
  ready_.push_back(&session);
}

void RoundTrips::fail(Session& session, ErrorKind kind) {
  run_.errors.add(kind);
  if (session.busy && session.warm) --measured_in_flight_;
  if (session.warm && !session.busy) std::erase(ready_, &session);
  session.busy = session.warm = false;
  session.fd.reset();
  resting_.put(&session, monotonic_now() + Run::kRest);
}

void RoundTrips::turn(Nanos now) {
  if (now >= next_scan_) {
    end_timed_out(now);
    next_scan_ = now + Run::kScanInterval;
  }
  for (Session* session = nullptr; !run_.stopping && (session = resting_.take(now)) != nullptr;)
    connect(*session, now);
  begin_when_warm(now);
  while (run_.meter.begun() && !ready_.empty() && !run_.stopping) {
    const Nanos start_time = monotonic_now();
    const auto intended = schedule_.take(start_time);
    if (!intended) break;
    Session& session = *ready_.front();
    ready_.pop_front();
    start_lag_.record(static_cast<std::uint64_t>(start_time - *intended));
    begin_exchange(session, *intended, start_time);
  }
  finish_when_done(now);
}

void RoundTrips::begin_when_warm(Nanos now) {
  if (run_.meter.begun()) return;
  if (ready_.size() == sessions_.size()) {
    run_.meter.begin(now);
    schedule_.begin(now);
  } else if (run_.stopping || now > give_up_warming_) {
    run_.finished = true;
  }
}

void RoundTrips::end_timed_out(Nanos now) {
  for (Session& session : sessions_) {
    if (!session.busy || now - session.started < run_.common.timeout) continue;
    fail(session, session.exchange.under_way() ? ErrorKind::Timeout : ErrorKind::ConnectTimeout);
  }
}

void RoundTrips::finish_when_done(Nanos now) {
  if (!run_.meter.begun()) return;
  if (run_.stopping) {
    run_.finished = measured_in_flight_ == 0;
    return;
  }
  // After the last intended start, what is overdue is still worked off, for as long as one answer may take.
  const bool late = now >= schedule_.end() && now - schedule_.end() > run_.common.timeout;
  const bool hopeless =
      measured_in_flight_ == 0 && ready_.empty() && now - last_success_ > 2 * run_.common.timeout;
  if (late || hopeless) run_.errors.add(ErrorKind::NotStarted, schedule_.abandon(now));
  run_.finished = measured_in_flight_ == 0 && schedule_.next_due(now) == kNever;
}

Nanos RoundTrips::next_wakeup(Nanos now) const {
  Nanos next = std::min(next_scan_, resting_.next_wakeup());
  if (run_.meter.begun() && !ready_.empty() && !run_.stopping) next = std::min(next, schedule_.next_due(now));
  return next;
}

void RoundTrips::report(Report& report) const {
  const double seconds = run_.meter.elapsed_seconds();
  report.add_count("sessions", sessions_.size());
  report.add_count("reconnects", reconnects_);
  report.add_count("round_trips_started", schedule_.taken());
  report.add_count("round_trips_completed", completed_);
  report.add("round_trips_per_second", seconds > 0 ? static_cast<double>(completed_) / seconds : 0.0);
  report.add_latency("latency", latency_);
  if (schedule_.open_loop()) report.add_latency("start_lag", start_lag_);
}

}  // namespace

int run_round_trips(const ClientOptions& common, const RoundTripOptions& options) {
  const auto run = open_run(common);
  if (!run) return 1;
  RoundTrips mode(*run, options);
  return drive(*run, mode);
}

}  // namespace weir::load
