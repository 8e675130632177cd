#include "lb/proxy/pump.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "lb/net/socket.h"

namespace weir {
namespace {

/// A flow is bulk after this many reads in a row that filled the buffer.
constexpr int kFullReadsToSplice = 2;
/// A bulk flow is copied again after this many splices in a row of less than kSmallSplice bytes.
constexpr int kSmallSplicesToCopy = 8;
constexpr std::size_t kSmallSplice = 16 * 1024;
/// More than a pipe of PipePool::kPipeBytes takes, whose slots hold up to 32 KiB each on loopback: the pipe's
/// size decides.
constexpr std::size_t kSpliceBytes = 1024 * 1024;

/// Unsent bytes that the kernel may queue behind a bulk receiver. Without it megabytes pile up and are sent
/// in the receiver's context; with it the sender runs on the balancer's time slice, in larger bursts.
/// Measured: flat from 256 KiB to 1 MiB.
constexpr int kBulkNotSentBytes = 512 * 1024;

/// A first write this short goes out at once with or without TCP_NODELAY (it is one segment and nothing is in
/// flight), which spares request-and-answer sessions the setsockopt. 536 is the smallest segment size that
/// IPv4 hosts must take (RFC 9293, 3.7.1).
constexpr std::size_t kFirstWriteBytes = 536;

}  // namespace

void Pump::on_source_events(std::uint32_t seen) {
  constexpr std::uint32_t kUnusual = events::kHangUp | events::kError | events::kUrgent;
  if ((seen & (events::kReadable | events::kPeerClosed | kUnusual)) == 0) return;
  readable_ = true;
  if ((seen & kUnusual) != 0) read_to_end_ = true;
  if ((seen & events::kUrgent) != 0) urgent_ = true;
  if ((seen & events::kPeerClosed) != 0) fin_arrived_ = true;
}

void Pump::discard(PipePool& pipes) {
  release(pipes);
  discarding_ = true;
  bulk_ = false;
  readable_ = true;
  sink_error_ = 0;
}

void Pump::release(PipePool& pipes) {
  stash_.reset();
  if (pipe_) pipes.give(std::move(pipe_));
}

Pump::Outcome Pump::run(int source, int sink, PumpContext& context) {
  std::size_t budget = kBudgetBytes;
  while (true) {
    if (holds_bytes() && writable_ && sink_error_ == 0) flush(sink, context);
    if (sink_error_ != 0) return Outcome::SinkFailed;
    if (holds_bytes()) return Outcome::Waiting;
    if (source_over()) {
      release(context.pipes);
      return finished_ ? Outcome::Drained : Outcome::SourceFailed;
    }
    if (!readable_ || !(writable_ || discarding_)) {
      if (pipe_) context.pipes.give(std::move(pipe_));
      return Outcome::Waiting;
    }
    if (budget == 0) return Outcome::OutOfBudget;
    if (bulk_ && !urgent_)
      splice_in(source, sink, context, budget);
    else
      copy(source, sink, context, budget);
  }
}

void Pump::on_read(std::size_t bytes, bool full) {
  if (bytes == 0) {
    finished_ = true;
  } else if (!full && !read_to_end_) {
    readable_ = false;
    // The FIN had arrived before this read began, and the read emptied the queue: there is nothing behind it.
    if (fin_arrived_) finished_ = true;
  }
}

void Pump::on_read_failure(int error) {
  if (error == EINTR) return;
  if (error == EAGAIN)
    readable_ = read_to_end_ = urgent_ = false;
  else
    source_error_ = static_cast<std::int16_t>(error);
}

void Pump::copy(int source, int sink, PumpContext& context, std::size_t& budget) {
  const ssize_t got = recv(source, context.buffer.data(), context.buffer.size(), 0);
  if (got < 0) return on_read_failure(errno);
  const auto bytes = static_cast<std::size_t>(got);
  const bool full = bytes == context.buffer.size();
  on_read(bytes, full);
  budget -= bytes < budget ? bytes : budget;
  if (bytes == 0 || discarding_) return;
  full_reads_ = full ? static_cast<std::uint8_t>(full_reads_ + 1) : 0;
  if (full_reads_ >= kFullReadsToSplice) {
    bulk_ = true;
    full_reads_ = 0;
    if (!paced_) {
      setsockopt(sink, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kBulkNotSentBytes, sizeof kBulkNotSentBytes);
      paced_ = true;
    }
  }
  const std::span<const std::byte> filled = context.buffer.first(bytes);
  const std::size_t written = write(sink, filled, context);
  if (written == bytes || sink_error_ != 0) return;
  stash_ = std::make_unique<Stash>();
  stash_->bytes.assign(filled.begin() + static_cast<std::ptrdiff_t>(written), filled.end());
}

void Pump::splice_in(int source, int sink, PumpContext& context, std::size_t& budget) {
  if (!pipe_ && !(pipe_ = context.pipes.take())) return copy(source, sink, context, budget);
  // The pipe is empty here (run() flushes first). Otherwise EAGAIN could mean a full pipe as well as an empty
  // socket.
  const ssize_t got = splice(source, nullptr, pipe_->write_end.get(), nullptr, kSpliceBytes,
                             SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (got < 0) return on_read_failure(errno);
  const auto bytes = static_cast<std::size_t>(got);
  // The end, or out-of-band data that arrived a moment ago, at which splice stops for good as if at the end.
  if (bytes == 0) return copy(source, sink, context, budget);
  pipe_->bytes = bytes;
  budget -= bytes < budget ? bytes : budget;
  full_reads_ = bytes < kSmallSplice ? static_cast<std::uint8_t>(full_reads_ + 1) : 0;
  if (full_reads_ >= kSmallSplicesToCopy) {
    bulk_ = false;
    full_reads_ = 0;
  }
}

void Pump::flush(int sink, PumpContext& context) {
  if (stash_) {
    const std::span<const std::byte> rest(stash_->bytes);
    stash_->delivered += write(sink, rest.subspan(stash_->delivered), context);
    if (stash_->delivered == rest.size()) stash_.reset();
    return;
  }
  if (sink_needs_nodelay_) {
    set_nodelay(sink);
    sink_needs_nodelay_ = false;
  }
  while (pipe_->bytes > 0) {
    const ssize_t sent = splice(pipe_->read_end.get(), nullptr, sink, nullptr, pipe_->bytes,
                                SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN)
        writable_ = false;
      else
        fail_sink(errno);
      return;
    }
    pipe_->bytes -= static_cast<std::size_t>(sent);
    delivered(static_cast<std::size_t>(sent), context);
  }
}

std::size_t Pump::write(int sink, std::span<const std::byte> bytes, PumpContext& context) {
  if (sink_needs_nodelay_ && (delivered_bytes_ > 0 || bytes.size() > kFirstWriteBytes)) {
    set_nodelay(sink);
    sink_needs_nodelay_ = false;
  }
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t sent = send(sink, bytes.data() + written, bytes.size() - written, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN)
        writable_ = false;
      else
        fail_sink(errno);
      break;
    }
    written += static_cast<std::size_t>(sent);
    delivered(static_cast<std::size_t>(sent), context);
  }
  return written;
}

void Pump::delivered(std::size_t bytes, PumpContext& context) {
  delivered_bytes_ += bytes;
  context.moved_bytes += bytes;
}

}  // namespace weir
