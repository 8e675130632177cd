#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "bench/load/client.h"
#include "bench/load/pacer.h"

namespace weir::load {

namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;

/// Long streams. Level-triggered and one buffer for each event, so that no stream starves another.
class Bulk final : public ClientMode {
 public:
  Bulk(Run& run, const BulkOptions& options);

  const char* name() const override { return "bulk"; }
  void turn(Nanos now) override;
  Nanos next_wakeup(Nanos now) const override;
  Progress progress() const override { return {0, bytes_down_ + bytes_up_}; }
  void report(Report& report) const override;

 private:
  struct Stream final : EventHandler {
    void on_ready(std::uint32_t events) override { bulk->advance(*this, events); }

    Bulk* bulk = nullptr;
    Fd fd;
    bool connected = false;
    bool half_closed = false;
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
    Nanos last_progress = 0;
  };

  bool downward() const { return options_.direction != Direction::Up; }
  bool upward() const { return options_.direction != Direction::Down; }
  bool paced() const { return options_.rate_bytes_per_second > 0; }
  std::uint64_t left_to_send(const Stream& stream) const;
  std::uint64_t left_to_receive(const Stream& stream) const;
  std::uint32_t interest(const Stream& stream) const;

  void start(Nanos now);
  void connect(Stream& stream, Nanos now);
  void advance(Stream& stream, std::uint32_t events);
  bool receive(Stream& stream, std::size_t most);
  bool send(Stream& stream, std::size_t most);
  bool check(const Stream& stream, std::size_t size) const;
  void finish_if_complete(Stream& stream, bool other_side_ended);
  void close(Stream& stream);
  void fail(Stream& stream, ErrorKind kind);
  void pace(Pacer& pacer, bool (Bulk::*move)(Stream&, std::size_t), std::size_t& next_stream, Nanos now);
  void end_stalled(Nanos now);

  Run& run_;
  BulkOptions options_;
  Pattern pattern_;
  std::vector<char> scratch_;
  std::vector<Stream> streams_;
  Pacer down_pacer_;
  Pacer up_pacer_;
  std::size_t next_down_ = 0;
  std::size_t next_up_ = 0;
  bool blocked_ = false;  ///< chunks are due, but no stream could move one
  std::uint64_t bytes_down_ = 0;
  std::uint64_t bytes_up_ = 0;
  std::uint64_t completed_ = 0;
  std::size_t open_ = 0;
  Nanos next_scan_ = 0;
};

Bulk::Bulk(Run& run, const BulkOptions& options)
    : run_(run),
      options_(options),
      pattern_(std::max(kBufferBytes, options.chunk_bytes)),
      scratch_(std::max(kBufferBytes, options.chunk_bytes)),
      streams_(options.streams),
      down_pacer_(options.rate_bytes_per_second, options.chunk_bytes),
      up_pacer_(options.rate_bytes_per_second, options.chunk_bytes) {}

std::uint64_t Bulk::left_to_send(const Stream& stream) const {
  if (!upward() || stream.half_closed) return 0;
  return options_.bytes ? *options_.bytes - stream.sent : kBufferBytes;
}

std::uint64_t Bulk::left_to_receive(const Stream& stream) const {
  if (!downward()) return 0;
  return options_.bytes ? *options_.bytes - stream.received : kBufferBytes;
}

std::uint32_t Bulk::interest(const Stream& stream) const {
  std::uint32_t events = 0;
  // An upward stream that is not finished reads nothing: an end that comes then is an error, found by
  // sending.
  const bool awaits_end = stream.half_closed && !downward();
  if ((!paced() && left_to_receive(stream) > 0) || awaits_end) events |= EPOLLIN;
  if (!paced() && left_to_send(stream) > 0) events |= EPOLLOUT;
  return events;
}

void Bulk::start(Nanos now) {
  run_.meter.begin(now);
  down_pacer_.begin(now);
  up_pacer_.begin(now);
  for (Stream& stream : streams_) {
    stream.bulk = this;
    connect(stream, now);
  }
}

void Bulk::connect(Stream& stream, Nanos now) {
  ++open_;
  stream.last_progress = now;
  Dialer::Dial dial = run_.dialer.dial();
  if (dial.error != 0) return fail(stream, kind_of_errno(dial.error, true));
  stream.fd = std::move(dial.fd);
  if (!run_.loop.add(stream.fd.get(), EPOLLOUT, stream)) fail(stream, ErrorKind::Other);
}

void Bulk::advance(Stream& stream, std::uint32_t events) {
  if (!stream.connected) {
    if (const int error = take_socket_error(stream.fd.get()); error != 0)
      return fail(stream, kind_of_errno(error, true));
    stream.connected = true;
    run_.loop.modify(stream.fd.get(), interest(stream), stream);
    return;
  }
  const bool ended = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (((events & EPOLLIN) != 0 || ended) && (left_to_receive(stream) > 0 || stream.half_closed))
    receive(stream, kBufferBytes);
  if (stream.fd && ((events & EPOLLOUT) != 0 || ended) && left_to_send(stream) > 0)
    send(stream, kBufferBytes);
}

// True: bytes were moved.
bool Bulk::receive(Stream& stream, std::size_t most) {
  const bool wanted = left_to_receive(stream) > 0;
  if (wanted) most = std::min<std::uint64_t>(most, left_to_receive(stream));
  const ssize_t n = ::recv(stream.fd.get(), scratch_.data(), most, options_.truncate ? MSG_TRUNC : 0);
  if (n < 0) {
    if (errno != EAGAIN) fail(stream, kind_of_errno(errno, false));
    return false;
  }
  if (n == 0) {
    finish_if_complete(stream, true);
    return false;
  }
  const auto size = static_cast<std::size_t>(n);
  stream.last_progress = monotonic_now();
  if (!wanted) return true;
  if (options_.verify && !check(stream, size)) {
    fail(stream, ErrorKind::WrongBytes);
    return false;
  }
  stream.received += size;
  bytes_down_ += size;
  finish_if_complete(stream, false);
  return true;
}

bool Bulk::check(const Stream& stream, std::size_t size) const {
  return std::memcmp(scratch_.data(), pattern_.at(stream.received, size).data(), size) == 0;
}

bool Bulk::send(Stream& stream, std::size_t most) {
  most = std::min<std::uint64_t>(most, left_to_send(stream));
  if (most == 0) return false;
  const std::string_view piece = pattern_.at(stream.sent, most);
  const ssize_t n = ::send(stream.fd.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
  if (n < 0) {
    if (errno != EAGAIN) fail(stream, kind_of_errno(errno, false));
    return false;
  }
  stream.sent += static_cast<std::size_t>(n);
  bytes_up_ += static_cast<std::size_t>(n);
  stream.last_progress = monotonic_now();
  if (left_to_send(stream) == 0) {
    ::shutdown(stream.fd.get(), SHUT_WR);
    stream.half_closed = true;
    run_.loop.modify(stream.fd.get(), interest(stream), stream);
    finish_if_complete(stream, false);
  }
  return true;
}

// Downward the last byte counts as the end; upward only the other side's FIN says that all has arrived.
void Bulk::finish_if_complete(Stream& stream, bool other_side_ended) {
  const bool all_received = options_.bytes && left_to_receive(stream) == 0;
  const bool all_sent = options_.bytes && left_to_send(stream) == 0;
  const bool complete =
      options_.direction == Direction::Up ? all_sent && other_side_ended : all_sent && all_received;
  if (complete) {
    ++completed_;
    close(stream);
  } else if (other_side_ended) {
    fail(stream, ErrorKind::EarlyEnd);
  }
}

void Bulk::close(Stream& stream) {
  stream.fd.reset();
  --open_;
}

void Bulk::fail(Stream& stream, ErrorKind kind) {
  run_.errors.add(kind);
  close(stream);
}

void Bulk::pace(Pacer& pacer, bool (Bulk::*move)(Stream&, std::size_t), std::size_t& next_stream, Nanos now) {
  std::size_t idle = 0;  // streams in a row that had nothing to move
  while (idle < streams_.size() && pacer.may_move(now)) {
    Stream& stream = streams_[next_stream];
    next_stream = (next_stream + 1) % streams_.size();
    const std::uint64_t before = stream.received + stream.sent;
    if (stream.connected && stream.fd && (this->*move)(stream, options_.chunk_bytes)) {
      pacer.moved(stream.received + stream.sent - before);
      idle = 0;
    } else {
      ++idle;
    }
  }
  if (idle == streams_.size()) blocked_ = true;
}

void Bulk::end_stalled(Nanos now) {
  for (Stream& stream : streams_) {
    if (!stream.fd || now - stream.last_progress < run_.common.timeout) continue;
    fail(stream, stream.connected ? ErrorKind::Timeout : ErrorKind::ConnectTimeout);
  }
}

void Bulk::turn(Nanos now) {
  if (!run_.meter.begun()) start(now);
  if (now >= next_scan_) {
    end_stalled(now);
    next_scan_ = now + Run::kScanInterval;
  }
  blocked_ = false;
  if (paced() && downward()) pace(down_pacer_, &Bulk::receive, next_down_, now);
  if (paced() && upward()) pace(up_pacer_, &Bulk::send, next_up_, now);
  const auto& duration = run_.common.schedule.duration;
  const bool over = duration && now - run_.meter.begun_at() >= *duration;
  if (!over && !run_.stopping && open_ > 0) return;
  run_.meter.end(now);
  run_.finished = true;
}

Nanos Bulk::next_wakeup(Nanos now) const {
  Nanos next = next_scan_;
  if (const auto& duration = run_.common.schedule.duration)
    next = std::min(next, run_.meter.begun_at() + *duration);
  if (!paced()) return next;
  if (blocked_) return std::min(next, now + kMillisecond);
  if (downward()) next = std::min(next, down_pacer_.next());
  if (upward()) next = std::min(next, up_pacer_.next());
  return next;
}

void Bulk::report(Report& report) const {
  const double seconds = run_.meter.elapsed_seconds();
  report.add_count("streams", streams_.size());
  report.add_count("streams_completed", completed_);
  report.add_count("bytes_down", bytes_down_);
  report.add_count("bytes_up", bytes_up_);
  report.add("gigabytes_per_second", static_cast<double>(bytes_down_ + bytes_up_) / seconds / 1e9);
  const auto total = [](const Stream& stream) { return stream.received + stream.sent; };
  const auto [least, most] = std::minmax_element(
      streams_.begin(), streams_.end(), [&](const auto& a, const auto& b) { return total(a) < total(b); });
  report.add_count("bytes_of_slowest_stream", total(*least));
  report.add_count("bytes_of_fastest_stream", total(*most));
}

}  // namespace

int run_bulk(const ClientOptions& common, const BulkOptions& options) {
  const auto run = open_run(common);
  if (!run) return 1;
  Bulk bulk(*run, options);
  return drive(*run, bulk);
}

}  // namespace weir::load
