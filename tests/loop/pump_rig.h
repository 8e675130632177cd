#pragma once

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <vector>

#include "lb/net/signals.h"
#include "lb/proxy/pump.h"
#include "tests/support/stream.h"

namespace weir::test {

/// A connected pair: the test's end, and the end that is given to a pump.
struct Pair {
  Stream far;
  Fd near;
  Source kind = Source::Tcp;
};

/// Both of TCP over loopback, since sockets of a socketpair know neither resets nor urgent data.
inline Pair tcp_pair(int near_send_buffer = 0, int far_receive_buffer = 0) {
  const Fd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (near_send_buffer > 0)
    ::setsockopt(listening.get(), SOL_SOCKET, SO_SNDBUF, &near_send_buffer, sizeof near_send_buffer);
  REQUIRE(::bind(listening.get(), generic, size) == 0);
  REQUIRE(::listen(listening.get(), 1) == 0);
  REQUIRE(::getsockname(listening.get(), generic, &size) == 0);
  ConnectOptions options;
  options.receive_buffer = far_receive_buffer;
  Stream far = Stream::connect(Address(generic, size).to_string(), options);
  Fd near(::accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  REQUIRE(near);
  return {std::move(far), std::move(near)};
}

inline Pair unix_pair() {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  return {Stream(Fd(ends[0])), Fd(ends[1]), Source::Unix};
}

/// One pump between two pairs, told of their events as a Worker does it, step by step.
class PumpRig {
 public:
  PumpRig(Pair from, Pair to)
      : source(std::move(from)),
        sink(std::move(to)),
        buffer_(64 * 1024),
        context{{buffer_.data(), buffer_.size()}, pipes},
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    ignore_sigpipe();
    pump.on_fresh_source(source.kind);
    watch(source.near.get(), 0);
    watch(sink.near.get(), 1);
  }
  ~PumpRig() { pump.release(pipes); }
  PumpRig(const PumpRig&) = delete;
  PumpRig& operator=(const PumpRig&) = delete;

  /// In a turn of its own.
  Pump::Outcome run() {
    context.moved_bytes = 0;
    return pump.run(source.near.get(), sink.near.get(), context);
  }

  /// Waits for events (`timeout_ms` at most, not at all while there is more to do) and runs the pump once.
  Pump::Outcome step(int timeout_ms) {
    epoll_event seen[2];
    const int count = ::epoll_wait(epoll_.get(), seen, 2, timeout_ms);
    for (int i = 0; i < count; ++i) {
      if (seen[i].data.u32 == 0)
        pump.on_source_events(seen[i].events);
      else
        pump.on_sink_events(seen[i].events);
    }
    return run();
  }

  /// Runs it until no event has come for `quiet_ms`, or it is at an end.
  Pump::Outcome run_until_quiet(int quiet_ms = 30) {
    while (true) {
      const std::uint64_t before = pump.delivered_bytes();
      const Pump::Outcome outcome = step(quiet_ms);
      if (outcome == Pump::Outcome::OutOfBudget) continue;
      if (outcome != Pump::Outcome::Waiting || pump.delivered_bytes() == before) return outcome;
    }
  }

  /// Runs it to its end; fails when it stands still for longer than anything may take.
  Pump::Outcome run_to_end() {
    auto last_move = Clock::now();
    while (true) {
      const std::uint64_t before = pump.delivered_bytes();
      const Pump::Outcome outcome = step(50);
      if (outcome != Pump::Outcome::Waiting && outcome != Pump::Outcome::OutOfBudget) return outcome;
      if (pump.delivered_bytes() != before) last_move = Clock::now();
      if (Clock::now() - last_move > kPatience) return outcome;
    }
  }

  Pair source;
  Pair sink;
  Descriptors descriptors;
  PipeAllowance allowance{descriptors};
  PipePool pipes{allowance};

 private:
  std::vector<std::byte> buffer_;

 public:
  PumpContext context;
  Pump pump;

 private:
  void watch(int fd, std::uint32_t which) {
    epoll_event event{};
    event.events = events::kStream;
    event.data.u32 = which;
    REQUIRE(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
  }

  Fd epoll_;
};

}  // namespace weir::test
