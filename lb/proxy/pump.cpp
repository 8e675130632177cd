#include "lb/proxy/pump.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lb/net/raw_calls.h"
#include "lb/net/socket.h"

namespace weir {
namespace {

/// A flow is bulk after this many reads in a row that filled the buffer.
constexpr int kFullReadsToSplice = 2;
/// A bulk flow is copied again after this many splices in a row of less than kSmallSplice bytes.
constexpr int kSmallSplicesToCopy = 8;
constexpr std::size_t kSmallSplice = 16 * 1024;
/// Unsent bytes that the kernel may queue behind a bulk receiver. Without it megabytes pile up and are sent
/// in the receiver's context; with it the sender runs on the balancer's time slice, in larger bursts.
/// Measured: flat from 256 KiB to 1 MiB.
constexpr int kBulkNotSentBytes = 512 * 1024;

/// A first write this short goes out at once with or without TCP_NODELAY (it is one segment and nothing is in
/// flight), which spares request-and-answer sessions the setsockopt. 536 is the smallest segment size that
/// IPv4 hosts must take (RFC 9293, 3.7.1).
constexpr std::size_t kFirstWriteBytes = 536;

/// What may be read whether or not the sink takes it, and so has to be kept if it does not.
constexpr std::size_t kSmallRead = 4 * 1024;

/// What one that is not known to be bulk may read in a turn whose share is spent: small messages go past.
constexpr std::size_t kReadOfSpentTurn = 16 * 1024;

/// splice is not to be had here at all: seccomp filters and gVisor answer with these.
bool is_refusal(int error) {
  return error == EINVAL || error == EPERM || error == EACCES || error == ENOSYS || error == EOPNOTSUPP;
}

/// The kernel's memory is short: nobody's fault, and it passes.
bool is_starvation(int error) {
  return error == ENOMEM || error == ENOBUFS;
}

/// Takes bytes out of the source's queue that have been peeked at and delivered. TCP does not even copy them.
int consume(int source, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = raw::recv(source, bytes.data(), bytes.size(), MSG_TRUNC);
    if (got == 0) return 0;
    if (got > 0)
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

}  // namespace

void Pump::on_source_events(std::uint32_t seen) {
  constexpr std::uint32_t kUnusual = events::kHangUp | events::kError | events::kUrgent;
  if ((seen & (events::kReadable | events::kPeerClosed | kUnusual)) == 0) return;
  readable_ = true;
  if ((seen & kUnusual) != 0) read_to_end_ = true;
  if ((seen & events::kUrgent) != 0) urgent_ = true;
  if ((seen & events::kPeerClosed) != 0) fin_arrived_ = true;
}

void Pump::on_sink_events(std::uint32_t seen) {
  if ((seen & (events::kWritable | events::kError | events::kHangUp)) != 0) writable_ = true;
  // The kernel calls a socket writable when a third of its buffer is free.
  if ((seen & events::kWritable) != 0) roomy_ = true;
}

void Pump::on_fresh_sink() {
  writable_ = roomy_ = true;
  sink_needs_nodelay_ = true;
}

void Pump::put_first(std::vector<std::byte> bytes, std::size_t uncounted) {
  if (bytes.empty()) return;
  if (bytes.size() > uncounted) touched_ = true;
  auto stash = std::make_unique<Held::Stash>();
  stash->bytes = std::move(bytes);
  stash->uncounted = uncounted;
  held_.hold(std::move(stash));
}

void Pump::forget_sink() {
  // What is in hand here was for that sink alone: nothing of the source's has been read.
  held_.drop_stash();
  writable_ = roomy_ = slow_sink_ = paced_ = sink_needs_nodelay_ = false;
  sink_error_ = 0;
}

void Pump::on_fresh_source(Source kind) {
  marked_ = false;
  source_kind_ = kind;
  readable_ = read_to_end_ = urgent_ = fin_arrived_ = finished_ = false;
  source_error_ = 0;
}

void Pump::discard(PipePool& pipes) {
  release(pipes);
  discarding_ = true;
  bulk_ = false;
  readable_ = true;
  sink_error_ = 0;
}

void Pump::give_back(PipePool& pipes) {
  held_.drop_stash();
  give_pipe(pipes);
}

void Pump::give_pipe(PipePool& pipes) {
  if (auto pipe = held_.take_pipe()) pipes.give(std::move(pipe));
}

bool Pump::mark(int source) {
  // A unix socket has none, and what is out of band does not wait for one.
  if (source_kind_ != Source::Tcp || !bulk_ || urgent_ || fin_arrived_ || discarding_ || source_over())
    return false;
  return marked_ = setsockopt(source, SOL_SOCKET, SO_RCVLOWAT, &kMarkBytes, sizeof kMarkBytes) == 0;
}

void Pump::unmark(int source) {
  if (!marked_) return;
  // The kernel says at once what it has not said (tcp_set_rcvlowat); it is looked at without that, too.
  constexpr int kAnything = 1;
  setsockopt(source, SOL_SOCKET, SO_RCVLOWAT, &kAnything, sizeof kAnything);
  marked_ = false;
  readable_ = true;
}

Pump::Outcome Pump::run(int source, int sink, PumpContext& context) {
  const std::uint64_t delivered_before = delivered_bytes_;
  const std::uint64_t moved_before = context.moved_bytes;
  starved_ = false;
  const bool was_urgent = urgent_;
  const Outcome outcome = move(source, sink, context);
  if (marked_ && (!bulk_ || was_urgent || discarding_)) unmark(source);
  const std::uint64_t read = context.moved_bytes - moved_before;
  const std::uint64_t delivered = delivered_bytes_ - delivered_before;
  if (delivered > read) context.moved_bytes += delivered - read;
  return outcome;
}

Pump::Outcome Pump::move(int source, int sink, PumpContext& context) {
  const std::uint64_t moved_before = context.moved_bytes;
  while (true) {
    if (holds_bytes() && writable_ && sink_error_ == 0) flush(sink, context);
    if (sink_error_ != 0) return Outcome::SinkFailed;
    if (holds_bytes()) return Outcome::Waiting;
    if (source_over()) {
      release(context.pipes);
      return finished_ ? Outcome::Drained : Outcome::SourceFailed;
    }
    if (!readable_ || !(writable_ || discarding_) || starved_) {
      if (!held_.empty()) give_pipe(context.pipes);
      return Outcome::Waiting;
    }
    const std::uint64_t read = context.moved_bytes - moved_before;
    // One read goes past a spent turn: a small message ends with it.
    if (read >= kBudgetBytes || (read > 0 && context.turn_is_spent())) return Outcome::OutOfBudget;
    if (bulk_ && !urgent_ && !context.splice_refused)
      splice_in(source, sink, context, std::max(kBudgetBytes - read, PipePool::kPipeBytes));
    else
      copy(source, sink, context);
    if (stands_still()) return Outcome::Waiting;
  }
}

void Pump::on_read(std::size_t bytes, bool full) {
  if (bytes == 0) {
    finished_ = true;
  } else if (!full && !read_to_end_ && short_read_empties(source_kind_)) {
    readable_ = false;
    // The FIN had arrived before this read began, and the read emptied the queue: there is nothing behind it.
    if (fin_arrived_) finished_ = true;
  }
}

void Pump::on_read_failure(int error) {
  if (error == EINTR) return;
  if (error == EAGAIN)
    readable_ = read_to_end_ = urgent_ = false;
  else if (is_starvation(error))
    starved_ = true;
  else
    source_error_ = static_cast<std::int16_t>(error);
}

void Pump::on_write_failure(int error) {
  if (error == EAGAIN)
    writable_ = false;
  else if (is_starvation(error))
    starved_ = true;
  else
    fail_sink(error);
}

void Pump::copy(int source, int sink, PumpContext& context) {
  // What the sink has just called room for is read; of what it may not take only little, and when there is
  // more than that it is left where it is until it has been written.
  const bool trusted = discarding_ || urgent_ || (roomy_ && !slow_sink_);
  const bool peek = !trusted && large_read_;
  std::size_t most = context.turn_is_spent() ? kReadOfSpentTurn : context.buffer.size();
  if (!trusted && !peek) most = kSmallRead;
  const std::span<std::byte> room = context.buffer.first(std::min(most, context.buffer.size()));
  const ssize_t got = raw::recv(source, room.data(), room.size(), peek ? MSG_PEEK : 0);
  if (got < 0) return on_read_failure(errno);
  const std::span<std::byte> bytes = room.first(static_cast<std::size_t>(got));
  const bool full = bytes.size() == room.size();
  context.moved_bytes += bytes.size();
  if (!bytes.empty()) touched_ = true;
  if (bytes.empty() || discarding_) return on_read(bytes.size(), full);
  roomy_ = false;
  large_read_ = full || bytes.size() > kSmallRead;
  on_full_read(sink, bytes.size() == context.buffer.size());
  if (peek) return deliver_peeked(source, sink, bytes, full);
  on_read(bytes.size(), full);
  deliver_read(sink, bytes, context);
}

void Pump::on_full_read(int sink, bool full) {
  full_reads_ = full ? static_cast<std::uint8_t>(full_reads_ + 1) : 0;
  if (full_reads_ < kFullReadsToSplice) return;
  bulk_ = true;
  full_reads_ = 0;
  if (paced_) return;
  setsockopt(sink, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kBulkNotSentBytes, sizeof kBulkNotSentBytes);
  paced_ = true;
}

void Pump::deliver_read(int sink, std::span<const std::byte> bytes, PumpContext& context) {
  const std::size_t written = write(sink, bytes);
  slow_sink_ = written < bytes.size();
  if (!slow_sink_ || sink_error_ != 0) return;
  give_pipe(context.pipes);
  auto stash = std::make_unique<Held::Stash>();
  stash->bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(written), bytes.end());
  held_.hold(std::move(stash));
}

void Pump::deliver_peeked(int source, int sink, std::span<std::byte> bytes, bool full) {
  const std::size_t written = write(sink, bytes);
  slow_sink_ = written < bytes.size();
  if (const int error = consume(source, bytes.first(written)); error != 0) return on_read_failure(error);
  if (!slow_sink_) on_read(written, full);
}

void Pump::splice_in(int source, int sink, PumpContext& context, std::size_t most) {
  if (held_.pipe() == nullptr) held_.hold(context.pipes.take());
  Pipe* const pipe = held_.pipe();
  if (pipe == nullptr) return copy(source, sink, context);
  // The pipe is empty here (run() flushes first). Otherwise EAGAIN could mean a full pipe as well as an empty
  // socket.
  const ssize_t got = raw::splice(source, pipe->write_end.get(), most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (got < 0 && (is_refusal(errno) || is_starvation(errno))) {
    if (is_refusal(errno)) context.splice_refused = true;
    give_pipe(context.pipes);
    return copy(source, sink, context);
  }
  if (got < 0) return on_read_failure(errno);
  const auto bytes = static_cast<std::size_t>(got);
  // The end, or out-of-band data that arrived a moment ago, at which splice stops for good as if at the end.
  if (bytes == 0) return copy(source, sink, context);
  pipe->bytes = bytes;
  context.moved_bytes += bytes;
  full_reads_ = bytes < kSmallSplice ? static_cast<std::uint8_t>(full_reads_ + 1) : 0;
  if (full_reads_ >= kSmallSplicesToCopy) {
    bulk_ = false;
    full_reads_ = 0;
  }
}

void Pump::flush(int sink, PumpContext& context) {
  if (held_.pipe() != nullptr) flush_pipe(sink, context);
  Held::Stash* const stash = held_.stash();
  if (stash == nullptr || !writable_ || starved_ || sink_error_ != 0) return;
  const std::span<const std::byte> all(stash->bytes);
  const std::size_t written = write(sink, all.subspan(stash->delivered));
  const std::size_t own = std::min(written, stash->uncounted - std::min(stash->uncounted, stash->delivered));
  delivered_bytes_ -= own;
  stash->delivered += written;
  if (stash->delivered < all.size()) return;
  // The next write is not the first one.
  if (stash->uncounted == all.size() && sink_needs_nodelay_) {
    set_nodelay(sink);
    sink_needs_nodelay_ = false;
  }
  held_.drop_stash();
}

void Pump::flush_pipe(int sink, PumpContext& context) {
  if (sink_needs_nodelay_) {
    set_nodelay(sink);
    sink_needs_nodelay_ = false;
  }
  Pipe& pipe = *held_.pipe();
  while (pipe.bytes > 0) {
    const ssize_t sent = context.splice_refused ? -1
                                                : raw::splice(pipe.read_end.get(), sink, pipe.bytes,
                                                              SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (sent < 0) {
      const int error = context.splice_refused ? ENOSYS : errno;
      if (error == EINTR) continue;
      if (!is_refusal(error) && !is_starvation(error)) return on_write_failure(error);
      if (is_refusal(error)) context.splice_refused = true;
      return pipe_to_stash(context.pipes);
    }
    pipe.bytes -= static_cast<std::size_t>(sent);
    delivered_bytes_ += static_cast<std::uint64_t>(sent);
  }
}

/// What splice would not take out of the pipe is copied out of it.
void Pump::pipe_to_stash(PipePool& pipes) {
  Pipe& pipe = *held_.pipe();
  auto stash = std::make_unique<Held::Stash>();
  stash->bytes.resize(pipe.bytes);
  for (std::span<std::byte> room(stash->bytes); !room.empty();) {
    const ssize_t got = read(pipe.read_end.get(), room.data(), room.size());
    if (got < 0 && errno == EINTR) continue;
    // A pipe of ours that does not hold what was put into it: nothing can be saved.
    if (got <= 0) return fail_sink(got < 0 ? errno : EIO);
    room = room.subspan(static_cast<std::size_t>(got));
    pipe.bytes -= static_cast<std::size_t>(got);
  }
  give_pipe(pipes);
  held_.hold(std::move(stash));
}

std::size_t Pump::write(int sink, std::span<const std::byte> bytes) {
  if (sink_needs_nodelay_ && (delivered_bytes_ > 0 || bytes.size() > kFirstWriteBytes)) {
    set_nodelay(sink);
    sink_needs_nodelay_ = false;
  }
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t sent = raw::send(sink, bytes.data() + written, bytes.size() - written, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      on_write_failure(errno);
      break;
    }
    written += static_cast<std::size_t>(sent);
    delivered_bytes_ += static_cast<std::uint64_t>(sent);
  }
  return written;
}

}  // namespace weir
