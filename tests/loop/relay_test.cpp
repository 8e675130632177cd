#include "lb/proxy/relay.h"

#include <poll.h>

#include <catch2/catch.hpp>

#include "lb/net/socket.h"
#include "tests/loop/pump_rig.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint32_t kAnything = events::kReadable | events::kWritable;
constexpr std::uint32_t kFin = kAnything | events::kPeerClosed;

/// A relay between a client and a backend that have just been connected, its events told by the test.
struct RelayRig {
  RelayRig() : client(tcp_pair()), backend(tcp_pair()), relay(std::move(client.near), Source::Tcp) {
    ignore_sigpipe();
    relay.attach_backend(std::move(backend.near), Source::Tcp);
    relay.hear_client(events::kWritable);
    relay.start();
    relay.refuse_untouched(true);
  }
  ~RelayRig() { relay.release(pipes); }

  Relay::Step run() { return relay.conclude(relay.flow(context), context); }

  Pair client;
  Pair backend;
  Descriptors descriptors;
  PipeAllowance allowance{descriptors};
  PipePool pipes{allowance};
  std::vector<std::byte> buffer = std::vector<std::byte>(64 * 1024);
  PumpContext context{buffer, pipes};
  Relay relay;
};

void wait_for(int fd, short what) {
  pollfd watched{fd, what, 0};
  REQUIRE(::poll(&watched, 1, static_cast<int>(kPatience.count())) == 1);
}

}  // namespace

TEST_CASE("a backend that ends before any byte has passed is refused, and another one serves the client") {
  RelayRig rig;
  REQUIRE_FALSE(rig.run().refused);
  rig.backend.far.half_close();
  wait_for(rig.relay.backend_fd(), POLLRDHUP);
  rig.relay.hear_backend(kFin);
  const Relay::Step refused = rig.run();
  REQUIRE(refused.refused);
  REQUIRE_FALSE(refused.over);
  Fd(rig.relay.detach_backend()).reset();
  CHECK(rig.relay.patience() == Relay::Patience::Idle);

  Pair second = tcp_pair();
  rig.relay.attach_backend(std::move(second.near), Source::Tcp);
  rig.relay.start();
  second.far.send_all("hello");
  wait_for(rig.relay.backend_fd(), POLLIN);
  rig.relay.hear_backend(kAnything);
  const Relay::Step served = rig.run();
  CHECK_FALSE(served.refused);
  CHECK(rig.relay.bytes_to_client() == 5);
  CHECK(rig.client.far.recv_exact(5) == "hello");
}

TEST_CASE("a backend that ends is not refused once the client has said something or has finished") {
  const bool finishes = GENERATE(false, true);
  RelayRig rig;
  if (finishes)
    rig.client.far.half_close();
  else
    rig.client.far.send_all("x");
  rig.backend.far.half_close();
  wait_for(rig.relay.client_fd(), POLLIN | POLLRDHUP);
  wait_for(rig.relay.backend_fd(), POLLRDHUP);
  rig.relay.hear_client(finishes ? kFin : kAnything);
  rig.relay.hear_backend(kFin);
  CHECK_FALSE(rig.run().refused);
}

TEST_CASE("a relay that need not refuse a backend passes its end on") {
  RelayRig rig;
  rig.backend.far.half_close();
  wait_for(rig.relay.backend_fd(), POLLRDHUP);
  rig.relay.hear_backend(kFin);
  REQUIRE(rig.run().refused);
  rig.relay.refuse_untouched(false);
  CHECK_FALSE(rig.run().refused);
  CHECK(rig.client.far.recv_to_end().ending == Ending::Eof);
}

TEST_CASE("a unix client that has closed is gone only if nothing of what it said is left, wherever it is") {
  constexpr std::uint32_t kClosed = events::kReadable | events::kPeerClosed | events::kHangUp;
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  Relay relay(Fd{ends[0]}, Source::Unix);
  Stream client{Fd(ends[1])};
  client.send_all("request");
  client.close();
  CHECK_FALSE(relay.client_is_gone(kClosed, false));
  char read[7];
  REQUIRE(::recv(relay.client_fd(), read, sizeof read, 0) == 7);
  CHECK_FALSE(relay.client_is_gone(kClosed, true));
  CHECK(relay.client_is_gone(kClosed, false));
  CHECK(relay.client_is_gone(kClosed | events::kError, true));
}

TEST_CASE("two sides that have reset, each with bytes unread, are not waited for") {
  RelayRig rig;
  for (Pair* pair : {&rig.client, &rig.backend}) {
    pair->far.send_all("unread");
    wait_for(pair == &rig.client ? rig.relay.client_fd() : rig.relay.backend_fd(), POLLIN);
    pair->far.reset();
    wait_for(pair == &rig.client ? rig.relay.client_fd() : rig.relay.backend_fd(), POLLRDHUP);
  }
  // As the events were before the resets: a write to each then takes its error away.
  rig.relay.hear_client(kAnything);
  rig.relay.hear_backend(kAnything);
  const Relay::Step step = rig.run();
  REQUIRE(step.over);
  CHECK(step.over->how == End::ClientReset);
}
