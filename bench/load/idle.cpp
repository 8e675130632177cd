#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "bench/load/client.h"
#include "bench/load/exchange.h"

namespace weir::load {

namespace {

/// Sessions that are opened and held.
class Idle final : public ClientMode {
 public:
  Idle(Run& run, const IdleOptions& options) : run_(run), options_(options), sessions_(options.sessions) {}

  const char* name() const override { return "idle"; }
  void turn(Nanos now) override;
  Nanos next_wakeup(Nanos now) const override;
  Progress progress() const override { return {up_, 0}; }
  void report(Report& report) const override;

 private:
  struct Session final : EventHandler {
    void on_ready(std::uint32_t events) override { idle->advance(*this, events); }

    Idle* idle = nullptr;
    Fd fd;
    Exchange exchange;
    Nanos started = 0;
    bool up = false;
  };

  /// A line on standard input ends the hold. Its end does not: scripts often have none.
  struct Input final : EventHandler {
    void on_ready(std::uint32_t) override {
      std::array<char, 256> line{};
      if (::read(STDIN_FILENO, line.data(), line.size()) > 0) line_came = true;
      at_end = true;
    }
    bool line_came = false;
    bool at_end = false;
  };

  static constexpr std::size_t kMaxConnecting = 256;  // under the backlog of any listener

  void start_some(Nanos now);
  void advance(Session& session, std::uint32_t events);
  void come_up(Session& session);
  void fail(Session& session, ErrorKind kind);
  void end_timed_out(Nanos now);
  void announce(Nanos now);

  Run& run_;
  IdleOptions options_;
  Pattern pattern_{1};
  std::vector<Session> sessions_;
  Input input_;
  std::size_t started_ = 0;
  std::size_t connecting_ = 0;
  std::uint64_t up_ = 0;
  std::uint64_t held_ = 0;
  bool holding_ = false;
  bool watching_input_ = false;
  Nanos hold_end_ = kNever;
  Nanos next_scan_ = 0;
};

void Idle::start_some(Nanos now) {
  while (started_ < sessions_.size() && connecting_ < kMaxConnecting) {
    Session& session = sessions_[started_++];
    ++connecting_;
    session.idle = this;
    session.started = now;
    session.exchange.begin(started_, {1, 1, false});
    Dialer::Dial dial = run_.dialer.dial();
    if (dial.error != 0) {
      fail(session, kind_of_errno(dial.error, true));
      continue;
    }
    session.fd = std::move(dial.fd);
    if (!run_.loop.add(session.fd.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, session))
      fail(session, ErrorKind::Other);
  }
}

void Idle::advance(Session& session, std::uint32_t events) {
  const bool ended = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (session.up || !options_.exchange) {
    if (ended) {
      const int error = take_socket_error(session.fd.get());
      return fail(session, error == 0 ? ErrorKind::EarlyEnd : kind_of_errno(error, !session.up));
    }
    if (!session.up && (events & EPOLLOUT) != 0) come_up(session);
    return;
  }
  Exchange& exchange = session.exchange;
  if (!exchange.all_sent() && exchange.send(session.fd.get(), pattern_) == Step::Failed)
    return fail(session, exchange.error());
  if ((events & EPOLLIN) == 0 && !ended) return;
  std::array<char, 2> answer{};
  switch (exchange.receive(session.fd.get(), pattern_, answer, ended)) {
    case Step::Waiting:
      return;
    case Step::Failed:
      return fail(session, exchange.error());
    case Step::Done:
      return come_up(session);
  }
}

void Idle::come_up(Session& session) {
  session.up = true;
  ++up_;
  --connecting_;
}

void Idle::fail(Session& session, ErrorKind kind) {
  run_.errors.add(kind);
  if (session.up) {
    --up_;
  } else {
    --connecting_;
  }
  session.up = false;
  session.fd.reset();
}

void Idle::end_timed_out(Nanos now) {
  for (Session& session : sessions_) {
    if (!session.fd || session.up || now - session.started < run_.common.timeout) continue;
    fail(session, session.exchange.under_way() ? ErrorKind::Timeout : ErrorKind::ConnectTimeout);
  }
}

void Idle::announce(Nanos now) {
  holding_ = true;
  held_ = up_;
  if (const auto& duration = run_.common.schedule.duration) hold_end_ = now + *duration;
  fmt::print(run_.common.output.json ? stderr : stdout, "holding {}\n", up_);
  std::fflush(stdout);
}

void Idle::turn(Nanos now) {
  if (!run_.meter.begun()) {
    run_.meter.begin(now);
    // A regular file or /dev/null cannot be watched; then only time and signals end the hold.
    watching_input_ = run_.loop.add(STDIN_FILENO, EPOLLIN, input_);
  }
  if (watching_input_ && input_.at_end) {
    run_.loop.remove(STDIN_FILENO);
    watching_input_ = false;
  }
  if (!run_.stopping) start_some(now);
  if (now >= next_scan_) {
    end_timed_out(now);
    next_scan_ = now + Run::kScanInterval;
  }
  if (!holding_ && started_ == sessions_.size() && connecting_ == 0) announce(now);
  run_.finished = run_.stopping || input_.line_came || now >= hold_end_ || (holding_ && up_ == 0);
}

Nanos Idle::next_wakeup(Nanos now) const {
  if (!holding_) return started_ < sessions_.size() && connecting_ < kMaxConnecting ? now : next_scan_;
  return hold_end_;
}

void Idle::report(Report& report) const {
  report.add_count("sessions", sessions_.size());
  report.add_count("sessions_held", held_);
  report.add_count("sessions_at_end", up_);
}

}  // namespace

int run_idle(const ClientOptions& common, const IdleOptions& options) {
  const auto run = open_run(common);
  if (!run) return 1;
  Idle idle(*run, options);
  return drive(*run, idle);
}

}  // namespace weir::load
