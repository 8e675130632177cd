#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <map>
#include <string>
#include <vector>

#include "bench/load/client.h"

namespace weir::load {

namespace {

/// 48213 as "48,213".
std::string grouped(std::uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

/// The body of a whole, good answer, without the end of its line; nothing when it is none.
std::optional<std::string_view> body_of(std::string_view answer) {
  constexpr std::string_view kLength = "Content-Length: ";
  const std::size_t end = answer.find("\r\n\r\n"), at = answer.find(kLength);
  if (!answer.starts_with("HTTP/1.1 200 ") || end == answer.npos || at == answer.npos || at > end)
    return std::nullopt;
  std::size_t length = 0;
  std::from_chars(answer.data() + at + kLength.size(), answer.data() + end, length);
  std::string_view body = answer.substr(end + 4);
  if (body.size() != length) return std::nullopt;
  if (body.ends_with('\n')) body.remove_suffix(1);
  return body;
}

/// GETs with a connection for each; who has answered how many.
class Gets final : public ClientMode {
 public:
  Gets(Run& run, const GetOptions& options);

  const char* name() const override { return "get"; }
  void turn(Nanos now) override;
  Nanos next_wakeup(Nanos now) const override;
  Progress progress() const override { return {completed_, bytes_}; }
  void report(Report& report) const override;
  std::string line() const override;

 private:
  struct Connection final : EventHandler {
    void on_ready(std::uint32_t) override { gets->advance(*this); }

    Gets* gets = nullptr;
    Fd fd;
    std::string answer;
    bool sent = false;
    bool again = false;  ///< it is its second attempt
    Nanos intended = 0;
    Nanos started = 0;
  };

  void start(Connection& connection);
  /// False: it has failed or waits, and is somebody else's now.
  bool send(Connection& connection);
  void advance(Connection& connection);
  void end(Connection& connection);
  void fail(Connection& connection, ErrorKind kind);
  void end_timed_out(Nanos now);

  static constexpr std::size_t kMostAnswer = 64 * 1024;
  static constexpr std::size_t kMostNames = 64;
  static constexpr std::size_t kMostName = 32;

  Run& run_;
  GetOptions options_;
  Schedule schedule_;
  const std::string request_;
  std::vector<char> scratch_;
  std::vector<Connection> connections_;
  std::vector<Connection*> free_;
  RestingPlace<Connection> resting_;
  Histogram latency_;
  std::map<std::string, std::uint64_t, std::less<>> names_;
  std::uint64_t completed_ = 0, bytes_ = 0, again_ = 0;
  Nanos next_scan_ = 0;
  unsigned in_flight_ = 0;
};

Gets::Gets(Run& run, const GetOptions& options)
    : run_(run),
      options_(options),
      schedule_(run.common.schedule),
      request_(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", options.path,
                           run.common.target.to_string())),
      scratch_(kMostAnswer),
      connections_(options.concurrency) {
  for (Connection& connection : connections_) {
    connection.gets = this;
    free_.push_back(&connection);
  }
}

void Gets::turn(Nanos now) {
  if (!run_.meter.begun()) {
    run_.meter.begin(now);
    schedule_.begin(now);
  }
  if (now >= next_scan_) {
    end_timed_out(now);
    next_scan_ = now + Run::kScanInterval;
  }
  while (Connection* rested = resting_.take(now)) free_.push_back(rested);
  for (std::size_t budget = free_.size(); budget > 0 && !run_.stopping; --budget) {
    const auto intended = schedule_.take(monotonic_now());
    if (!intended) break;
    Connection& connection = *free_.back();
    free_.pop_back();
    connection.intended = *intended;
    connection.again = false;
    ++in_flight_;
    start(connection);
  }
  if (now >= schedule_.end() && now - schedule_.end() > run_.common.timeout && !run_.stopping)
    run_.errors.add(ErrorKind::NotStarted, schedule_.abandon(now));
  run_.finished = in_flight_ == 0 && (run_.stopping || schedule_.next_due(now) == kNever);
}

void Gets::start(Connection& connection) {
  connection.started = monotonic_now();
  connection.answer.clear();
  connection.sent = false;
  Dialer::Dial dial = run_.dialer.dial();
  if (dial.error != 0) return fail(connection, kind_of_errno(dial.error, true));
  connection.fd = std::move(dial.fd);
  if (!send(connection)) return;
  if (!run_.loop.add(connection.fd.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, connection))
    fail(connection, ErrorKind::Other);
}

bool Gets::send(Connection& connection) {
  const ssize_t n = ::send(connection.fd.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
  if (n < 0 && errno == EAGAIN) return true;
  if (n != static_cast<ssize_t>(request_.size())) {
    fail(connection, n < 0 ? kind_of_errno(errno, true) : ErrorKind::Other);
    return false;
  }
  connection.sent = true;
  return true;
}

void Gets::advance(Connection& connection) {
  if (!connection.fd || (!connection.sent && !send(connection))) return;
  for (;;) {
    const ssize_t n = ::recv(connection.fd.get(), scratch_.data(), scratch_.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return fail(connection, kind_of_errno(errno, !connection.sent));
    if (n == 0) return end(connection);
    bytes_ += static_cast<std::size_t>(n);
    connection.answer.append(scratch_.data(), static_cast<std::size_t>(n));
    if (connection.answer.size() > kMostAnswer) return fail(connection, ErrorKind::WrongBytes);
  }
}

void Gets::end(Connection& connection) {
  const auto body = body_of(connection.answer);
  if (!body) return fail(connection, connection.answer.empty() ? ErrorKind::EarlyEnd : ErrorKind::WrongBytes);
  latency_.record(static_cast<std::uint64_t>(monotonic_now() - connection.intended));
  const std::string_view who = body->substr(0, kMostName);
  if (const auto known = names_.find(who); known != names_.end())
    ++known->second;
  else
    ++names_[names_.size() < kMostNames ? std::string(who) : "others"];
  ++completed_;
  --in_flight_;
  connection.fd.reset();
  free_.push_back(&connection);
}

void Gets::fail(Connection& connection, ErrorKind kind) {
  connection.fd.reset();
  const bool lost = kind == ErrorKind::Reset || kind == ErrorKind::EarlyEnd;
  if (options_.ask_again && lost && connection.sent && !connection.again && connection.answer.empty()) {
    ++again_;
    connection.again = true;
    return start(connection);
  }
  run_.errors.add(kind);
  --in_flight_;
  resting_.put(&connection, monotonic_now() + (schedule_.open_loop() ? 0 : Run::kRest));
}

void Gets::end_timed_out(Nanos now) {
  for (Connection& connection : connections_)
    if (connection.fd && now - connection.started >= run_.common.timeout)
      fail(connection, connection.sent ? ErrorKind::Timeout : ErrorKind::ConnectTimeout);
}

Nanos Gets::next_wakeup(Nanos now) const {
  Nanos next = std::min(next_scan_, resting_.next_wakeup());
  if (!free_.empty() && !run_.stopping) next = std::min(next, schedule_.next_due(now));
  return next;
}

void Gets::report(Report& report) const {
  report.add_count("requests_started", schedule_.taken());
  report.add_count("requests_completed", completed_);
  report.add_count("requests_asked_again", again_);
  report.add_latency("latency", latency_);
  for (const auto& [who, count] : names_) report.add_count("answered_by " + who, count);
}

std::string Gets::line() const {
  if (!options_.line) return {};
  std::string text = fmt::format("{} sessions, {} failed", grouped(completed_ + run_.errors.total()),
                                 grouped(run_.errors.total()));
  std::string_view before = " (";
  for (std::size_t i = 0; i < kErrorNames.size(); ++i) {
    if (run_.errors.of(i) == 0) continue;
    text += fmt::format("{}{} {}", before, kErrorNames[i], run_.errors.of(i));
    before = ", ";
  }
  if (run_.errors.total() > 0) text += ")";
  if (again_ > 0) text += fmt::format(", {} asked again", grouped(again_));
  for (const auto& [who, count] : names_) text += fmt::format("  {} {}", who, grouped(count));
  return text;
}

}  // namespace

int run_get(const ClientOptions& common, const GetOptions& options) {
  const auto run = open_run(common);
  if (!run) return 1;
  Gets gets(*run, options);
  return drive(*run, gets);
}

}  // namespace weir::load
