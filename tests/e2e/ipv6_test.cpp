#include <catch2/catch.hpp>

#include "tests/support/rig.h"
#include "tests/support/skip.h"

using namespace weir::test;

namespace {

bool have_ipv6() {
  try {
    FakeBackendOptions options;
    options.address = "[::1]:0";
    const FakeBackend backend(options);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

FakeBackendOptions at(const std::string& address) {
  FakeBackendOptions options;
  options.greeting = "a";
  options.address = address;
  return options;
}

/// One session from `client_side` to a backend on `backend_side` moves a MiB and back.
void check_path(const std::string& bind, const std::string& client_side, const std::string& backend_side) {
  FakeBackend backend(at(backend_side));
  SimpleConfig config;
  config.workers = 2;
  config.bind = bind;
  config.backends = {{"a", backend.address()}};
  WeirDaemon weir(config);
  Stream client = Stream::connect(client_side);
  CHECK(client.recv_exact(1) == "a");
  CHECK(client.echoes(BytePattern(1).bytes(100'000)));
  const std::string name = client.local_address();
  client.half_close();
  CHECK(client.recv_to_end().ending == Ending::Eof);
  const auto log = weir.wait_for_access(1);
  CHECK(log[0]["client"] == name);
  CHECK(log[0]["backend_address"] == backend.address());
}

}  // namespace

TEST_CASE("an IPv4 client reaches an IPv6 backend") {
  SKIP_UNLESS(have_ipv6(), "this machine has no IPv6 on loopback");
  const FreePort port;
  check_path(port.v4(), port.v4(), "[::1]:0");
}

TEST_CASE("an IPv6 client reaches an IPv4 backend") {
  SKIP_UNLESS(have_ipv6(), "this machine has no IPv6 on loopback");
  const FreePort port;
  check_path(port.v6(), port.v6(), "127.0.0.1:0");
}

TEST_CASE("an IPv6 client reaches an IPv6 backend") {
  SKIP_UNLESS(have_ipv6(), "this machine has no IPv6 on loopback");
  const FreePort port;
  check_path(port.v6(), port.v6(), "[::1]:0");
}

TEST_CASE("the wildcards of both families share one port") {
  SKIP_UNLESS(have_ipv6(), "this machine has no IPv6 on loopback");
  const FreePort port;
  const std::string number = std::to_string(port.number());
  const std::string bind = "[\"0.0.0.0:" + number + "\", \"[::]:" + number + "\"]";
  check_path(bind, port.v4(), "127.0.0.1:0");
  check_path(bind, port.v6(), "127.0.0.1:0");
}

TEST_CASE("the IPv6 wildcard alone takes no IPv4 clients") {
  SKIP_UNLESS(have_ipv6(), "this machine has no IPv6 on loopback");
  const FreePort port;
  FakeBackend backend(at("127.0.0.1:0"));
  SimpleConfig config;
  config.bind = "[::]:" + std::to_string(port.number());
  config.backends = {{"a", backend.address()}};
  WeirDaemon weir(config);
  CHECK(one_session(port.v6()) == 'a');
  CHECK_THAT(connect_failure(port.v4()), Catch::Contains("refused"));
}

TEST_CASE("source hash tells IPv6 clients apart and keeps them") {
  SKIP_UNLESS(have_ipv6(), "this machine has no IPv6 on loopback");
  const FreePort port;
  FakeBackend a(at("127.0.0.1:0"));
  FakeBackend b(at("[::1]:0"));
  SimpleConfig config;
  config.bind = port.v6();
  config.pool = "balance = \"source_hash\"";
  config.backends = {{"a", a.address()}, {"b", b.address()}};
  WeirDaemon weir(config);
  for (int i = 0; i < 10; ++i) one_session(port.v6());
  const bool all_at_one =
      (a.accepted() == 10 && b.accepted() == 0) || (a.accepted() == 0 && b.accepted() == 10);
  CHECK(all_at_one);
}
