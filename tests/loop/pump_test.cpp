#include "lb/proxy/pump.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "lb/net/socket.h"
#include "tests/loop/pump_rig.h"
#include "tests/support/seccomp.h"

using namespace weir;
using namespace weir::test;
using Outcome = Pump::Outcome;

namespace {

constexpr int kTinyBuffer = 4 * 1024;
constexpr std::size_t kMiB = 1024 * 1024;

/// Makes a pump bulk and leaves it with bytes in a pipe that nobody takes.
void fill_up(PumpRig& rig) {
  const std::string block(256 * 1024, 'x');
  std::string taken(64 * 1024, '\0');
  while (!rig.pump.holds_bytes() || rig.pipes.in_use() == 0) {
    rig.source.far.send_some(block);
    rig.step(0);
    // Not bulk yet: its bytes are in a stash, and it must be able to go on.
    if (rig.pipes.in_use() == 0) ::recv(rig.sink.far.fd(), taken.data(), taken.size(), MSG_DONTWAIT);
  }
}

void wait_for_fin(int fd) {
  pollfd fin{fd, POLLRDHUP, 0};
  REQUIRE(::poll(&fin, 1, static_cast<int>(kPatience.count())) == 1);
}

struct Pace {
  std::size_t largest;
  int pause_one_in;  ///< of how many pieces one is followed by a pause of a millisecond
};

void pause(std::mt19937& random, const Pace& pace) {
  if (random() % static_cast<unsigned>(pace.pause_one_in) == 0) std::this_thread::sleep_for(milliseconds(1));
}

/// One side sends, the other reads, both in random pieces and with random pauses; true when every byte came.
bool carries(PumpRig& rig, std::size_t size, unsigned seed, const Pace& writes, const Pace& reads) {
  std::thread writer([&] {
    std::mt19937 random(seed);
    const BytePattern pattern(seed);
    std::string piece;
    for (std::size_t offset = 0; offset < size; offset += piece.size()) {
      piece.resize(std::min<std::size_t>(size - offset, 1 + random() % writes.largest));
      pattern.fill(piece, offset);
      rig.source.far.send_all(piece);
      pause(random, writes);
    }
    rig.source.far.half_close();
  });
  PatternChecker checker(seed);
  std::thread reader([&] {
    std::mt19937 random(seed + 1);
    try {
      while (true) {
        const std::string piece = rig.sink.far.recv_some(1 + random() % reads.largest);
        if (piece.empty()) return;
        checker.feed(piece);
        pause(random, reads);
      }
    } catch (const StreamError&) {
    }
  });
  const Outcome outcome = rig.run_to_end();
  ::shutdown(rig.sink.near.get(), SHUT_WR);
  writer.join();
  reader.join();
  return outcome == Outcome::Drained && checker.intact() && checker.received() == size;
}

}  // namespace

TEST_CASE("a FIN right behind any number of bytes overtakes none of them") {
  for (const std::size_t size : {0, 1, 65'535, 65'536, 65'537, 131'072, 3 * 1024 * 1024}) {
    INFO(size << " bytes");
    PumpRig rig(tcp_pair(), tcp_pair(kTinyBuffer, kTinyBuffer));
    REQUIRE(carries(rig, size, 1, {kMiB, 1'000'000}, {64 * 1024, 4}));
  }
}

TEST_CASE("a pump is not drained while it has bytes in hand") {
  PumpRig rig(tcp_pair(), tcp_pair(kTinyBuffer, kTinyBuffer));
  const std::string block(64 * 1024, 'x');
  while (::send(rig.sink.near.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) {
  }
  rig.pump.on_fresh_sink();  // it was writable when the pump last heard of it
  rig.source.far.send_all("last words");
  rig.source.far.half_close();
  wait_for_fin(rig.source.near.get());
  REQUIRE(rig.run_until_quiet() == Outcome::Waiting);
  REQUIRE(rig.pump.source_finished());
  REQUIRE(rig.pump.holds_bytes());
}

TEST_CASE("a slow reader with tiny buffers stalls nothing and gets every byte") {
  const unsigned seed = GENERATE(1u, 2u, 3u);
  const int buffer = GENERATE(0, kTinyBuffer);
  INFO("seed " << seed << " buffer " << buffer);
  PumpRig rig(tcp_pair(), tcp_pair(buffer, buffer));
  const std::size_t size = buffer == 0 ? scaled(48 * kMiB) : scaled(8 * kMiB);
  REQUIRE(carries(rig, size, seed, {400'000, 50}, {300'000, 20}));
}

TEST_CASE("a stop-and-go source that turns from bulk to trickle and back loses nothing") {
  PumpRig rig(tcp_pair(), tcp_pair());
  REQUIRE(carries(rig, scaled(16 * kMiB), 9, {600'000, 2}, {kMiB, 1'000'000}));
}

TEST_CASE("without pipes a bulk flow is copied, whole") {
  PumpRig rig(tcp_pair(), tcp_pair(kTinyBuffer, kTinyBuffer));
  rig.descriptors.set(0, 0);
  REQUIRE(carries(rig, scaled(4 * kMiB), 4, {kMiB, 1'000'000}, {100'000, 20}));
}

TEST_CASE("unix sockets are pumped alike") {
  PumpRig rig(unix_pair(), unix_pair());
  REQUIRE(carries(rig, scaled(16 * kMiB), 5, {300'000, 50}, {300'000, 50}));
}

TEST_CASE("a finished source with unread data is read to its end first") {
  PumpRig rig(tcp_pair(), tcp_pair());
  const BytePattern pattern(6);
  rig.source.far.send_all(pattern.bytes(50'000));
  rig.source.far.close();
  wait_for_fin(rig.source.near.get());  // IN and RDHUP in one event
  REQUIRE(rig.run_to_end() == Outcome::Drained);
  REQUIRE(rig.sink.far.recv_exact(50'000) == pattern.bytes(50'000));
}

TEST_CASE("what came before a reset is delivered before the source counts as failed") {
  PumpRig rig(tcp_pair(), tcp_pair());
  const BytePattern pattern(7);
  rig.source.far.send_all(pattern.bytes(100'000));
  // All of it must have arrived: a reset destroys what is still queued at its sender.
  REQUIRE(eventually([&] { return unsent_bytes(rig.source.far.fd()) == 0; }));
  rig.source.far.reset();  // IN, RDHUP, HUP and ERR in one event
  REQUIRE(rig.run_to_end() == Outcome::SourceFailed);
  REQUIRE(rig.pump.source_error() == ECONNRESET);
  REQUIRE(rig.sink.far.recv_exact(100'000) == pattern.bytes(100'000));
}

TEST_CASE("a failed write takes the socket's error, so that the next read ends cleanly: it is remembered") {
  PumpRig to_backend(tcp_pair(), tcp_pair());
  const int backend = to_backend.sink.near.get();
  REQUIRE(to_backend.run_until_quiet() == Outcome::Waiting);
  to_backend.sink.far.send_all("half an ans");
  REQUIRE(eventually([&] { return unsent_bytes(to_backend.sink.far.fd()) == 0; }));
  to_backend.sink.far.reset();
  to_backend.source.far.send_all("more of the request");
  REQUIRE(to_backend.run_to_end() == Outcome::SinkFailed);
  REQUIRE(to_backend.pump.sink_error() == ECONNRESET);
  // What the kernel then says of the backend, and what Session::settle must not believe.
  char answer[64];
  REQUIRE(::recv(backend, answer, sizeof answer, 0) == 11);
  REQUIRE(::recv(backend, answer, sizeof answer, 0) == 0);
}

TEST_CASE("after a FIN a reset fails a write with EPIPE, which tells a finished answer from a cut one") {
  PumpRig to_backend(tcp_pair(), tcp_pair());
  REQUIRE(to_backend.run_until_quiet() == Outcome::Waiting);
  to_backend.sink.far.send_all("answer");
  to_backend.sink.far.half_close();
  REQUIRE(eventually([&] { return unsent_bytes(to_backend.sink.far.fd()) == 0; }));
  to_backend.sink.far.reset();
  to_backend.source.far.send_all("more of the request");
  REQUIRE(to_backend.run_to_end() == Outcome::SinkFailed);
  REQUIRE(to_backend.pump.sink_error() == EPIPE);
}

TEST_CASE("a pipe that still has bytes after an error is closed, never used again") {
  PumpRig rig(tcp_pair(), tcp_pair(kTinyBuffer, kTinyBuffer));
  fill_up(rig);
  REQUIRE(rig.pipes.in_use() == 1);
  rig.sink.far.reset();
  REQUIRE(rig.run_to_end() == Outcome::SinkFailed);
  rig.pump.release(rig.pipes);
  REQUIRE(rig.pipes.in_use() == 0);
  const auto pipe = rig.pipes.take();
  int left = -1;
  REQUIRE(::ioctl(pipe->read_end.get(), FIONREAD, &left) == 0);
  REQUIRE(left == 0);
}

TEST_CASE("a pump that waits for its source holds neither a pipe nor bytes") {
  PumpRig rig(tcp_pair(), tcp_pair());
  std::string sent;
  std::thread reader([&] { sent = rig.sink.far.recv_exact(4 * kMiB); });
  std::thread writer([&] { rig.source.far.send_all(std::string(4 * kMiB, 'x')); });
  while (rig.pump.delivered_bytes() < 4 * kMiB) rig.step(50);
  writer.join();
  reader.join();
  REQUIRE(rig.run_until_quiet() == Outcome::Waiting);
  REQUIRE(rig.pipes.in_use() == 0);
  REQUIRE_FALSE(rig.pump.holds_bytes());
}

TEST_CASE("one run moves no more than its budget and one read, and says that there is more") {
  PumpRig rig(tcp_pair(), tcp_pair());
  std::atomic<bool> done{false};
  std::thread writer([&] {
    const std::string block(kMiB, 'x');
    while (!done) rig.source.far.send_some(block);
  });
  std::thread reader([&] {
    std::string block(kMiB, '\0');
    while (!done) ::recv(rig.sink.far.fd(), block.data(), block.size(), MSG_DONTWAIT);
  });
  // The kernel's windows open while bytes flow; then the source's queue gets longer than a budget.
  while (rig.pump.delivered_bytes() < 32 * kMiB) rig.step(10);
  constexpr int kMuch = static_cast<int>(Pump::kBudgetBytes + 2 * PipePool::kPipeBytes);
  int queued = 0;
  bool bounded = true;
  Outcome outcome = Outcome::Waiting;
  const auto end = Clock::now() + kPatience;
  while (bounded && outcome != Outcome::OutOfBudget && Clock::now() < end) {
    eventually(milliseconds(500), [&] {
      ::ioctl(rig.source.near.get(), FIONREAD, &queued);
      return queued > kMuch;
    });
    const std::uint64_t before = rig.pump.delivered_bytes();
    outcome = rig.step(0);
    // What was in the pipe before goes out, too.
    bounded = rig.pump.delivered_bytes() - before < Pump::kBudgetBytes + PipePool::kLargePipeBytes;
  }
  done = true;
  writer.join();
  reader.join();
  CHECK(bounded);
  CHECK(outcome == Outcome::OutOfBudget);
}

TEST_CASE("a pump that discards hears its source out and needs no sink") {
  PumpRig rig(tcp_pair(), tcp_pair(kTinyBuffer, kTinyBuffer));
  fill_up(rig);
  rig.pump.fail_sink(EPIPE);
  REQUIRE(rig.run() == Outcome::SinkFailed);
  rig.pump.discard(rig.pipes);
  REQUIRE(rig.pipes.in_use() == 0);
  std::thread writer([&] {
    rig.source.far.send_all(std::string(4 * kMiB, 'x'));
    rig.source.far.half_close();
  });
  const std::uint64_t before = rig.pump.delivered_bytes();
  Outcome outcome = Outcome::Waiting;
  REQUIRE(eventually([&] { return (outcome = rig.step(10)) == Outcome::Drained; }));
  writer.join();
  REQUIRE(rig.pump.delivered_bytes() == before);
}

TEST_CASE("in-band bytes around an out-of-band byte all arrive, though a read before it is short") {
  PumpRig rig(tcp_pair(), tcp_pair());
  REQUIRE(rig.run_until_quiet() == Outcome::Waiting);
  for (int round = 0; round < 3; ++round) {
    rig.source.far.send_all("before");
    rig.source.far.send_out_of_band('!');
    rig.source.far.send_all("after");
    // All of it has arrived before the pump looks: no further event will come.
    REQUIRE(eventually([&] { return unsent_bytes(rig.source.far.fd()) == 0; }));
    rig.step(1'000);
    REQUIRE(rig.run_until_quiet() == Outcome::Waiting);
    REQUIRE(rig.sink.far.recv_exact(11) == "beforeafter");
  }
}

TEST_CASE("an out-of-band byte within a bulk transfer costs no in-band byte") {
  for (const bool last : {false, true}) {
    INFO((last ? "right before the end" : "in the middle"));
    PumpRig rig(tcp_pair(), tcp_pair());
    const BytePattern pattern(8);
    const std::size_t before = 2 * kMiB;
    const std::size_t after = last ? 10 : 2 * kMiB;
    std::thread writer([&] {
      rig.source.far.send_all(pattern.bytes(before));
      rig.source.far.send_out_of_band('!');
      rig.source.far.send_all(pattern.bytes(after, before));
      rig.source.far.half_close();
    });
    PatternChecker checker(8);
    std::thread reader([&] { rig.sink.far.recv_to_end(checker); });
    const Outcome outcome = rig.run_to_end();
    ::shutdown(rig.sink.near.get(), SHUT_WR);
    if (outcome != Outcome::Drained) rig.source.near.reset();
    try {
      writer.join();
    } catch (const StreamError&) {
    }
    reader.join();
    REQUIRE(outcome == Outcome::Drained);
    REQUIRE(checker.intact());
    REQUIRE(checker.received() == before + after);
  }
}

namespace {

/// Runs `action` on a thread in which a system call is refused.
template <class Action>
void where_refused(int number, int error, int argument, int fd, Action action) {
  bool installed = false;
  std::thread confined([&] {
    installed = refuse_system_call(number, error, argument, fd);
    if (installed) action();
  });
  confined.join();
  REQUIRE(installed);
}

}  // namespace

TEST_CASE(
    "bytes behind a descriptor that a unix source has passed arrive, and the descriptor does not stay") {
  PumpRig rig(unix_pair(), GENERATE(false, true) ? unix_pair() : tcp_pair());
  for (int i = 0; i < 3; ++i) send_with_descriptor(rig.source.far.fd(), "with a descriptor, ");
  rig.source.far.send_all("and the end");
  rig.source.far.close();
  const int next_free = Fd(::dup(0)).get();
  REQUIRE(rig.run_to_end() == Outcome::Drained);
  REQUIRE(Fd(::dup(0)).get() == next_free);
  const std::string expected = "with a descriptor, with a descriptor, with a descriptor, and the end";
  REQUIRE(rig.sink.far.recv_exact(expected.size()) == expected);
}

TEST_CASE("where splice is refused a bulk flow is copied whole, and it is not tried again") {
  const int error = GENERATE(EPERM, ENOSYS, EINVAL);
  const bool out_of_the_pipe = GENERATE(false, true);
  CAPTURE(error, out_of_the_pipe);
  bool refused = false;
  // On a busy machine the bytes may come in drops, and a flow of drops is not spliced.
  for (int flow = 0; flow < 10 && !refused; ++flow) {
    PumpRig rig(tcp_pair(), tcp_pair());
    const int refused_fd = out_of_the_pipe ? rig.sink.near.get() : rig.source.near.get();
    bool whole = false;
    where_refused(SYS_splice, error, out_of_the_pipe ? 2 : 0, refused_fd, [&] {
      whole = carries(rig, 4 * kMiB, 11, {kMiB, 1'000'000}, {kMiB, 1'000'000});
    });
    REQUIRE(whole);
    refused = rig.context.splice_refused;
    CHECK(rig.pipes.in_use() == 0);
  }
  CHECK(refused);
}

TEST_CASE("a splice that finds no memory is a copy, and splice is tried again") {
  const bool out_of_the_pipe = GENERATE(false, true);
  PumpRig rig(tcp_pair(), tcp_pair());
  const int refused_fd = out_of_the_pipe ? rig.sink.near.get() : rig.source.near.get();
  bool whole = false;
  where_refused(SYS_splice, ENOMEM, out_of_the_pipe ? 2 : 0, refused_fd, [&] {
    whole = carries(rig, scaled(4 * kMiB), 12, {kMiB, 1'000'000}, {kMiB, 1'000'000});
  });
  CHECK(whole);
  CHECK_FALSE(rig.context.splice_refused);
}

TEST_CASE("a read or write that finds no memory is no end: it is tried again") {
  const bool writing = GENERATE(false, true);
  const int error = GENERATE(ENOMEM, ENOBUFS);
  CAPTURE(writing, error);
  PumpRig rig(tcp_pair(), tcp_pair());
  REQUIRE(rig.run_until_quiet() == Outcome::Waiting);
  rig.source.far.send_all("patience");
  REQUIRE(eventually([&] { return unsent_bytes(rig.source.far.fd()) == 0; }));
  const int fd = writing ? rig.sink.near.get() : rig.source.near.get();
  Outcome starving = Outcome::Drained;
  where_refused(writing ? SYS_sendto : SYS_recvfrom, error, 0, fd, [&] { starving = rig.step(100); });
  CHECK(starving == Outcome::Waiting);
  CHECK(rig.pump.starved());
  REQUIRE(rig.run() == Outcome::Waiting);
  CHECK_FALSE(rig.pump.starved());
  REQUIRE(rig.sink.far.recv_exact(8) == "patience");
}

TEST_CASE("a reader that has stalled costs no more than a small read of memory") {
  const std::size_t message = GENERATE(1'000U, 10'000U, 1'000'000U);
  CAPTURE(message);
  PumpRig rig(tcp_pair(), tcp_pair());
  rig.descriptors.set(0, 0);  // and there are no pipes
  const std::string text(message, 'x');
  std::size_t most = 0;
  for (auto last = Clock::now(); Clock::now() - last < milliseconds(200);) {
    for (std::size_t sent = 0, now = 1; sent < message && now > 0; sent += now)
      if ((now = rig.source.far.send_some(std::string_view(text).substr(sent))) > 0) last = Clock::now();
    rig.step(1);
    most = std::max(most, rig.pump.stashed_bytes());
  }
  CHECK(most <= 4'096);
}

TEST_CASE(
    "bytes that are dropped count for the turn, and a spent turn is not stretched by a flow that turns "
    "bulk") {
  PumpRig rig(tcp_pair(), tcp_pair());
  const bool dropped = GENERATE(false, true);
  if (dropped) rig.pump.discard(rig.pipes);
  rig.source.far.send_some(std::string(kMiB, 'x'));
  REQUIRE(eventually([&] {
    int queued = 0;
    ::ioctl(rig.source.near.get(), FIONREAD, &queued);
    return queued >= 40'000;
  }));
  rig.pump.on_source_events(events::kReadable);
  rig.pump.on_sink_events(events::kWritable);
  rig.context.moved_bytes = PumpContext::kTurnBytes;
  const Outcome outcome = rig.pump.run(rig.source.near.get(), rig.sink.near.get(), rig.context);
  CHECK(outcome == Outcome::OutOfBudget);
  const std::uint64_t moved = rig.context.moved_bytes - PumpContext::kTurnBytes;
  CHECK(moved > 0);
  CHECK(moved <= 16 * 1024);
}

namespace {

/// A rig whose pump has become bulk.
void make_bulk(PumpRig& rig) {
  std::thread reader([&] { rig.sink.far.recv_exact(4 * kMiB); });
  std::thread writer([&] { rig.source.far.send_all(std::string(4 * kMiB, 'x')); });
  while (rig.pump.delivered_bytes() < 4 * kMiB) rig.step(50);
  writer.join();
  reader.join();
  REQUIRE(rig.run_until_quiet() == Outcome::Waiting);
  REQUIRE(rig.pump.bulk());
}

}  // namespace

TEST_CASE("what is less than the mark of its source waits in the kernel until the mark is taken away") {
  PumpRig rig(tcp_pair(), tcp_pair());
  make_bulk(rig);
  REQUIRE(rig.pump.mark(rig.source.near.get()));
  const std::uint64_t before = rig.pump.delivered_bytes();
  rig.source.far.send_all(std::string(10'000, 'y'));
  CHECK(rig.run_until_quiet(200) == Outcome::Waiting);
  CHECK(rig.pump.delivered_bytes() == before);
  rig.pump.unmark(rig.source.near.get());
  CHECK_FALSE(rig.pump.has_mark());
  rig.run_until_quiet();
  CHECK(rig.pump.delivered_bytes() == before + 10'000);
  rig.source.far.send_all("z");
  rig.run_until_quiet();
  CHECK(rig.pump.delivered_bytes() == before + 10'001);
}

TEST_CASE("a marked source's end, reset and urgent byte are heard at once") {
  const auto how = GENERATE(as<std::string>(), "end", "reset", "urgent");
  CAPTURE(how);
  PumpRig rig(tcp_pair(), tcp_pair());
  make_bulk(rig);
  REQUIRE(rig.pump.mark(rig.source.near.get()));
  const std::uint64_t before = rig.pump.delivered_bytes();
  rig.source.far.send_all(std::string(10'000, 'y'));
  if (how == "end") {
    rig.source.far.half_close();
    CHECK(rig.run_to_end() == Outcome::Drained);
  } else if (how == "reset") {
    rig.source.far.reset();
    CHECK(rig.run_to_end() == Outcome::SourceFailed);
  } else {
    REQUIRE(::send(rig.source.far.fd(), "!", 1, MSG_OOB) == 1);
    rig.run_until_quiet();
    CHECK_FALSE(rig.pump.has_mark());
  }
  CHECK(rig.pump.delivered_bytes() == before + 10'000);
}

TEST_CASE("no mark is to be had of a unix socket, nor of what is no bulk") {
  PumpRig small(tcp_pair(), tcp_pair());
  CHECK_FALSE(small.pump.mark(small.source.near.get()));
  PumpRig of_unix(unix_pair(), tcp_pair());
  make_bulk(of_unix);
  CHECK_FALSE(of_unix.pump.mark(of_unix.source.near.get()));
}
