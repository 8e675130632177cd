#include "lb/proxy/loop_guard.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <vector>

#include "lb/base/fd.h"
#include "tests/support/port.h"

using namespace weir;

namespace {

ClientAddress client(unsigned port, const char* ip = "10.0.0.1") {
  return ClientAddress(test::to_address(fmt::format("{}:{}", ip, port)).data());
}

struct Fixture {
  std::vector<BackendId> found;
  LoopGuard guard{[this](BackendId id) { found.push_back(id); }};
  unsigned port = 1000;

  /// One connect to `backend`, and whether the guard wants the session that it becomes reset.
  bool round(BackendId backend, std::uint64_t now_ms = 0) {
    guard.show(backend, client(++port), now_ms);
    return guard.comes_back(client(port), now_ms);
  }
  void prove(BackendId backend, std::uint64_t now_ms = 0) {
    for (std::uint32_t n = 0; n < LoopGuard::kProof; ++n) round(backend, now_ms);
    REQUIRE(found == std::vector<BackendId>{backend});
  }
};

}  // namespace

TEST_CASE("a backend whose connects come back again and again leads back, which is said once") {
  Fixture f;
  for (std::uint32_t n = 1; n < LoopGuard::kProof; ++n) REQUIRE_FALSE(f.round(7));
  REQUIRE(f.found.empty());
  for (int n = 0; n < 100; ++n) REQUIRE(f.round(7));
  REQUIRE(f.found == std::vector<BackendId>{7});
}

TEST_CASE("clients of other backends are not reset beside one that leads back") {
  Fixture f;
  f.prove(7);
  REQUIRE_FALSE(f.round(8));
  REQUIRE_FALSE(f.guard.comes_back(client(40'000), 0));
}

TEST_CASE("local clients that have a backend socket's address by chance are no loop") {
  Fixture f;
  for (unsigned n = 0; n < 10'000; ++n) {
    f.guard.show(7, client(1000 + n), n);
    if (n % 10 == 0) REQUIRE_FALSE(f.guard.comes_back(client(1000 + n), n));
  }
  REQUIRE(f.found.empty());
}

TEST_CASE("an address comes back once, within 50 ms of its connect, and before its backend has spoken") {
  Fixture f;
  f.prove(7);
  f.guard.show(7, client(500), 100);
  REQUIRE(f.guard.comes_back(client(500), 149));
  REQUIRE_FALSE(f.guard.comes_back(client(500), 149));
  f.guard.show(7, client(500), 3'000);
  REQUIRE_FALSE(f.guard.comes_back(client(500), 3'050));
  f.guard.show(7, client(500), 4'000);
  f.guard.withdraw(LoopGuard::slot_of(500));
  REQUIRE_FALSE(f.guard.comes_back(client(500), 4'001));
}

TEST_CASE("a client on Weir's own host whose ports overtake those of healthy backends is no loop") {
  // The kernel gives each destination a sequence of ports of its own: the client's runs as fast as those of
  // three backends together, and sweeps through what each has used.
  Fixture f;
  constexpr unsigned kEachSecond = 180;
  for (unsigned n = 0; n < 30'000; ++n) {
    const std::uint64_t now_ms = n * std::uint64_t{1000} / kEachSecond;
    const unsigned client_port = 32'768 + n % 14'000;
    REQUIRE_FALSE(f.guard.comes_back(client(client_port), now_ms));
    const BackendId backend = 1 + n % 3;
    f.guard.show(backend, client(32'768 + (n / 3 + 2'000 * static_cast<unsigned>(backend)) % 14'000), now_ms);
  }
  REQUIRE(f.found.empty());
}

TEST_CASE("an address is the same only with its port and all its bytes") {
  Fixture f;
  f.prove(7);
  f.guard.show(7, client(500, "[2001:db8::1]"), 0);
  REQUIRE_FALSE(f.guard.comes_back(client(500, "[2001:db8::2]"), 0));
  REQUIRE_FALSE(f.guard.comes_back(client(500, "[2001:db9::1]"), 0));
  REQUIRE_FALSE(f.guard.comes_back(client(756, "[2001:db8::1]"), 0));
  REQUIRE(f.guard.comes_back(client(500, "[2001:db8::1]"), 0));
  f.guard.show(7, client(501, "[::ffff:10.0.0.1]"), 0);
  REQUIRE(f.guard.comes_back(client(501, "10.0.0.1"), 0));
}

TEST_CASE("a backend that leads back is watched for a minute, and then has to be found anew") {
  Fixture f;
  f.prove(7);
  REQUIRE(f.guard.is_suspect(7, LoopGuard::kLoopingForMs - 1));
  REQUIRE_FALSE(f.guard.is_suspect(7, LoopGuard::kLoopingForMs));
  REQUIRE_FALSE(f.round(7, LoopGuard::kLoopingForMs));
  for (std::uint32_t n = 1; n < LoopGuard::kProof; ++n) f.round(7, LoopGuard::kLoopingForMs);
  REQUIRE(f.found == std::vector<BackendId>{7, 7});
}

TEST_CASE("a suspicion that is not proved in 5 s is dropped") {
  Fixture f;
  for (std::uint32_t n = 1; n < LoopGuard::kProof; ++n) REQUIRE_FALSE(f.round(7));
  REQUIRE_FALSE(f.round(7, LoopGuard::kSuspectForMs));
  REQUIRE(f.found.empty());
}

TEST_CASE("more backends under suspicion than there is room for do no harm") {
  Fixture f;
  for (BackendId id = 1; id <= 1'000; ++id) REQUIRE_FALSE(f.round(id));
  REQUIRE(f.found.empty());
}

TEST_CASE("a worker shows 100 connects a second, and every one to a suspect") {
  Fixture f;
  LoopGuard::Watch watch(f.guard);
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = test::to_address("127.0.0.1:0");
  REQUIRE(::bind(socket.get(), any.data(), any.size()) == 0);
  sockaddr_in own{};
  socklen_t size = sizeof own;
  REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) == 0);
  const ClientAddress self(reinterpret_cast<sockaddr*>(&own));
  REQUIRE_FALSE(watch.comes_back(self, 1'000));
  std::uint64_t shown = 0;
  for (int n = 0; n < 300; ++n) {
    watch.connecting(n < 150 ? 1 : 2, socket.get(), 1'000);
    // Looking for it takes it out again, and makes its backend suspect.
    const bool was_suspect = f.guard.is_suspect(n < 150 ? 1 : 2, 1'000);
    watch.comes_back(self, 1'000);
    shown += !was_suspect && f.guard.is_suspect(n < 150 ? 1 : 2, 1'000) ? 1 : 0;
  }
  REQUIRE(shown == 1);  // backend 1, at its first connect; none was left for backend 2
  REQUIRE(f.found == std::vector<BackendId>{1});
  watch.connecting(2, socket.get(), 2'000);
  watch.comes_back(self, 2'000);
  REQUIRE(f.guard.is_suspect(2, 2'000));
}
