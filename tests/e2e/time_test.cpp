#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <map>
#include <thread>

#include "tests/support/private_network.h"
#include "tests/support/rig.h"
#include "tests/support/skip.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

SimpleConfig with_pool(std::string lines, int workers = 1) {
  SimpleConfig config;
  config.workers = workers;
  config.pool = std::move(lines);
  return config;
}

/// The `n`-th client, which brings its own port and leaves the kernel's range to Weir.
Stream client_at(const Rig& rig, std::size_t n) {
  ConnectOptions options;
  options.source = to_address(fmt::format("127.0.0.1:{}", 50'000 + n));
  return rig.connect(options);
}

/// 1.1 × `timeout`, and what a loaded machine may add to it.
milliseconds latest(milliseconds timeout) {
  return timeout + timeout / 10 + (kSanitized ? 500ms : 50ms);
}

}  // namespace

TEST_CASE("a session silent both ways is reset between T and 1.1 T", "[alone]") {
  const milliseconds timeout = 2s;
  Rig rig(lettered(1), with_pool("idle_timeout = \"2s\"", GENERATE(1, 2)));
  Stream client = rig.connect();
  REQUIRE(client.recv_exact(1) == "a");
  REQUIRE(client.echoes("last words"));
  const auto start = Clock::now();
  CHECK(client.recv_to_end().ending == Ending::Reset);
  CHECK(since(start) >= timeout - 10ms);
  CHECK(since(start) <= latest(timeout));
  CHECK(eventually([&] { return rig.backend().open() == 0; }));
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "idle");
}

TEST_CASE("many silent sessions are all reset in time", "[alone]") {
  const milliseconds timeout = 2s;
  Rig rig(lettered(1), with_pool("idle_timeout = \"2s\"", 2));
  std::vector<Stream> clients;
  for (std::size_t i = 0; i < scaled(500); ++i) {
    ConnectOptions options;
    options.source = client_source(i);
    clients.push_back(rig.connect(options));
    REQUIRE(clients.back().recv_exact(1) == "a");
  }
  const auto start = Clock::now();
  for (Stream& client : clients) CHECK(client.recv_to_end().ending == Ending::Reset);
  CHECK(since(start) <= latest(timeout) + patient(100ms));
  for (const AccessLine& line : rig.weir().wait_for_access(clients.size())) CHECK(line["end"] == "idle");
}

TEST_CASE("a session that is busy one way stays open beyond 3 T") {
  const bool backend_talks = GENERATE(false, true);
  CAPTURE(backend_talks);
  FakeBackendOptions options;
  options.then = Then::Discard;
  Rig rig({options}, with_pool("idle_timeout = \"500ms\""));
  Stream client = rig.connect();
  client.send_all("x");
  REQUIRE(eventually([&] { return rig.backend().open() == 1; }));
  const auto start = Clock::now();
  while (since(start) < 1700ms) {
    std::this_thread::sleep_for(100ms);
    if (backend_talks) {
      rig.backend().send_all("b");
      CHECK(client.recv_exact(1) == "b");
    } else {
      client.send_all("c");
    }
  }
  CHECK(rig.backend().open() == 1);
  CHECK(rig.weir().access_log().empty());
}

TEST_CASE("a client that finishes before a silent backend is reset after half_close_timeout", "[alone]") {
  FakeBackendOptions options;
  options.then = Then::Stall;  // does not even notice the end
  Rig rig({options}, with_pool("half_close_timeout = \"1s\"\nidle_timeout = \"60s\"", GENERATE(1, 2)));
  Stream client = rig.connect();
  client.send_all("request");
  const auto start = Clock::now();
  client.half_close();
  CHECK(client.recv_to_end().ending == Ending::Reset);
  CHECK(since(start) >= 990ms);
  CHECK(since(start) <= latest(1s));
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "half_close_idle");
  CHECK(eventually([&] { return rig.backend().open() == 0; }));
  CHECK(eventually([&] { return sockets_in_state("08", rig.port().number()) == 0; }));
  CHECK(eventually([&] { return sockets_in_state("08", rig.backend().port()) == 0; }));
}

TEST_CASE("a backend that finishes before a silent client is no longer waited for after half_close_timeout") {
  FakeBackendOptions options;
  options.then = Then::Finish;
  options.greeting = "bye";
  Rig rig({options}, with_pool("half_close_timeout = \"500ms\"\nidle_timeout = \"60s\""));
  Stream client = rig.connect();
  const Received received = client.recv_to_end();
  CHECK(received.data == "bye");
  CHECK(received.ending == Ending::Eof);
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "half_close_idle");
  CHECK(eventually([&] { return rig.backend().open() == 0; }));
}

TEST_CASE("a half-closed session goes on as long as bytes come") {
  FakeBackendOptions options;
  options.greeting = "a";
  options.then = Then::Finish;
  Rig rig({options}, with_pool("half_close_timeout = \"500ms\""));
  Stream client = rig.connect();
  CHECK(client.recv_to_end().ending == Ending::Eof);
  for (int i = 0; i < 15; ++i) {
    std::this_thread::sleep_for(100ms);
    client.send_all("x");
  }
  CHECK(eventually([&] { return rig.backend().bytes_received() == 15; }));
  client.half_close();
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "done");
}

TEST_CASE("a stalled transfer is idle although bytes wait") {
  FakeBackendOptions options;
  options.then = Then::Flood;
  Rig rig({options}, with_pool("idle_timeout = \"500ms\""));
  Stream client = rig.connect();  // never reads
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "idle");
  CHECK(eventually([&] { return rig.backend().open() == 0; }));
}

TEST_CASE("a connect that nobody answers ends after connect_timeout for each attempt", "[alone]") {
  BlackHole first;
  BlackHole second;
  FreePort port;
  SimpleConfig config = with_pool("connect_timeout = \"500ms\"");
  config.bind = port.v4();
  config.backends = {{"a", first.address()}, {"b", second.address()}};
  WeirDaemon weir(config);
  const auto start = Clock::now();
  Stream client = Stream::connect(port.v4());
  CHECK(client.recv_to_end().ending == Ending::Reset);
  CHECK(since(start) >= 990ms);
  CHECK(since(start) <= latest(1s));
  const auto log = weir.wait_for_access(1);
  CHECK(log[0]["end"] == "connect_failed");
  CHECK(log[0]["attempts"] == "2");
}

TEST_CASE("backend connections cut by a packet filter are freed by the idle timeout", "[alone]") {
  SKIP_UNLESS(PrivateNetwork::possible(), "no right to make a network namespace, or no ip and nft");
  const PrivateNetwork network;
  Rig rig(lettered(1), with_pool("idle_timeout = \"2s\"", 2));
  const std::size_t baseline = rig.process().descriptors("socket:");
  std::vector<Stream> clients;
  for (std::size_t i = 0; i < 200; ++i) {
    clients.push_back(rig.connect());
    REQUIRE(clients.back().recv_exact(1) == "a");
  }
  network.cut_port(rig.backend().port());
  for (std::size_t i = 0; i < clients.size(); i += 2) clients[i].send_all("into the void");
  for (Stream& client : clients) CHECK(client.recv_to_end().ending == Ending::Reset);
  rig.weir().wait_for_access(clients.size());
  CHECK(eventually([&] { return rig.process().descriptors("socket:") == baseline; }));
}

TEST_CASE("sessions come from the sources of their pool in turn, whose ports add up") {
  SKIP_UNLESS(PrivateNetwork::possible(), "no right to make a network namespace, or no ip and nft");
  const PrivateNetwork network;
  const auto says_its_client = scripted([](Stream& stream) {
    stream.send_all(stream.peer_address().substr(0, 9));
    stream.recv_to_end();
  });
  Rig rig({says_its_client}, with_pool(R"(source = ["127.0.0.7", "::9", "127.0.0.8", "192.0.2.1"])"));
  network.limit_source_ports("40000 40019");
  std::vector<Stream> held;
  std::map<std::string, int> from;
  for (std::size_t i = 0; i < 38; ++i) {
    held.push_back(client_at(rig, i));
    ++from[held.back().recv_exact(9)];
  }
  // 192.0.2.1 is not this host's: whoever would have had it gets the next one.
  CHECK(from.size() == 2);
  CHECK(from["127.0.0.7"] >= 18);
  CHECK(from["127.0.0.8"] >= 18);
}

TEST_CASE("when no source port is left sessions fail as Weir's own trouble and the next ones are served") {
  SKIP_UNLESS(PrivateNetwork::possible(), "no right to make a network namespace, or no ip and nft");
  const PrivateNetwork network;
  Rig rig(lettered(1));
  network.limit_source_ports("40000 40019");
  std::vector<Stream> held;
  for (std::size_t i = 0; i < 20; ++i) held.push_back(client_at(rig, i));
  std::size_t served = 0;
  for (Stream& client : held) served += client.recv_to_end(100ms).data == "a" ? 1U : 0U;
  CHECK(served >= 19);
  for (std::size_t i = 0; i < 5; ++i) CHECK(client_at(rig, 100 + i).recv_to_end().ending == Ending::Reset);
  network.limit_source_ports("40000 40999");
  // Had the failures been held against the backend, it would now be out of rotation.
  CHECK(client_at(rig, 200).recv_exact(1) == "a");
}
