// What probes make of addresses: several of one backend, some that this host cannot use, one that answers
// itself.
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <mutex>
#include <set>

#include "lb/net/socket.h"
#include "tests/loop/health_bench.h"
#include "tests/support/private_network.h"
#include "tests/support/skip.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr const char* kHere = "127.0.0.1:40000";

void switch_ipv6_off() {
  std::ofstream("/proc/sys/net/ipv6/conf/all/disable_ipv6") << 1;
}

/// A probe that a listening backend which answers nothing of its own accord passes.
ProbeConfig probe_of(const std::string& kind) {
  ProbeConfig probe = HealthBench::probe(kind);
  probe.send = "yes";
  probe.expect = "yes";
  return probe;
}

FakeBackendOptions backend_for(const std::string& kind, const std::string& address) {
  FakeBackendOptions options{.address = address};
  if (kind == "http") {
    options.greeting = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    options.then = Then::Discard;
  }
  return options;
}

ProbeTarget target_at(const std::vector<std::string>& addresses, const ProbeConfig& probe) {
  ProbeTarget target = HealthBench::target(1, addresses.front(), probe);
  target.addresses.clear();
  for (const std::string& address : addresses) target.addresses.push_back(to_address(address));
  return target;
}

}  // namespace

TEST_CASE("an address that this host cannot use does not hide what the others say") {
  SKIP_UNLESS(PrivateNetwork::possible(), "needs root, ip, nft and unshare");
  const std::string kind = GENERATE("tcp", "expect", "http");
  const bool unusable_first = GENERATE(true, false);
  CAPTURE(kind, unusable_first);
  const PrivateNetwork network;
  switch_ipv6_off();
  FakeBackend backend(backend_for(kind, kHere));
  HealthBench bench;
  std::vector<std::string> addresses{"[::1]:40000", kHere};
  if (!unusable_first) std::swap(addresses[0], addresses[1]);
  bench.checker().set_targets({target_at(addresses, probe_of(kind))});
  REQUIRE(bench.wait_for(1, Health::Up));
  backend.stop_listening();
  const auto down = bench.wait_for(1, Health::Down);
  REQUIRE(down);
  CHECK_THAT(down->reason, Catch::Contains(std::string(kHere) + ": connection refused"));
  CHECK_THAT(down->reason, Catch::Contains("[::1]:40000: "));
}

TEST_CASE("a backend at an address that this host cannot use is down") {
  SKIP_UNLESS(PrivateNetwork::possible(), "needs root, ip, nft and unshare");
  const std::string kind = GENERATE("tcp", "expect", "http");
  CAPTURE(kind);
  const PrivateNetwork network;
  switch_ipv6_off();
  HealthBench bench;
  bench.checker().set_targets({target_at({"[::1]:40000"}, probe_of(kind))});
  CHECK(bench.wait_for(1, Health::Down));
}

TEST_CASE(
    "source ports that are used up are held against no backend, unless another address says it is dead") {
  SKIP_UNLESS(PrivateNetwork::possible(), "needs root, ip, nft and unshare");
  const PrivateNetwork network;
  FakeBackend backend({.address = kHere});
  HealthBench bench;
  auto probe = HealthBench::probe("tcp");
  probe.fall = 1;
  bench.checker().set_targets({target_at({kHere}, probe)});
  REQUIRE(bench.wait_for(1, Health::Up));
  network.limit_source_ports("50000 50001");
  std::vector<Fd> taken;
  for (auto more = start_connect(to_address(kHere)); more; more = start_connect(to_address(kHere)))
    taken.push_back(std::move(more->fd));
  CHECK(bench.wait_for_reason(1, "probe could not be run: no source port is left"));
  CHECK(bench.transitions(1).size() == 1);
  bench.checker().set_targets({target_at({kHere, "127.0.0.1:1"}, probe)});
  CHECK(bench.wait_for(1, Health::Down));
}

TEST_CASE(
    "probes come from the first source of the address's family, and a source that is none harms nobody") {
  const std::string kind = GENERATE("tcp", "expect", "http");
  CAPTURE(kind);
  std::mutex mutex;
  std::set<std::string> seen;
  FakeBackendOptions options;
  options.script = [&, answer = kind == "expect" ? "yes" : backend_for(kind, "").greeting](Stream& stream) {
    {
      const std::lock_guard lock(mutex);
      const std::string peer = stream.peer_address();
      // A tcp probe resets at once, and has no name any more.
      if (peer.starts_with("127.")) seen.insert(peer.substr(0, peer.find(':')));
    }
    stream.send_all(answer);
  };
  FakeBackend backend(options);
  HealthBench bench;
  auto probe = probe_of(kind);
  probe.source = {to_address("[::1]:0"), to_address("127.0.0.9:0"), to_address("127.0.0.8:0")};
  bench.checker().set_targets({target_at({backend.address()}, probe)});
  REQUIRE(bench.wait_for(1, Health::Up));
  probe.source = {to_address("192.0.2.1:0")};
  bench.checker().set_targets({target_at({backend.address()}, probe)});
  CHECK(bench.wait_for_reason(1, "probe could not be run: no source port is left"));
  CHECK(bench.transitions(1).size() == 1);
  const std::lock_guard lock(mutex);
  CHECK((kind == "tcp" || !seen.empty()));
  CHECK(std::ranges::all_of(seen, [](const std::string& peer) { return peer == "127.0.0.9"; }));
}

TEST_CASE("a probe that meets itself at a dead port is refused, and leaves the port to the backend") {
  SKIP_UNLESS(PrivateNetwork::possible(), "needs root, ip, nft and unshare");
  const std::string kind = GENERATE("tcp", "expect", "http");
  CAPTURE(kind);
  const PrivateNetwork network;
  network.limit_source_ports("40000 40000");
  {
    HealthBench bench;
    bench.checker().set_targets({target_at({kHere}, probe_of(kind))});
    const auto first = [&] { return bench.transitions(1); };
    REQUIRE(eventually([&] { return !first().empty(); }));
    CHECK(first().front().health == Health::Down);
    CHECK_THAT(first().front().reason, Catch::Contains("connection refused"));
  }
  const Fd backend(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address address = to_address(kHere);
  CHECK(::bind(backend.get(), address.data(), address.size()) == 0);
}
