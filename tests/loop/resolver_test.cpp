#include "lb/net/resolver.h"

#include <catch2/catch.hpp>

#include "lb/net/loop.h"

using namespace weir;

namespace {

/// Resolves and waits. Requires that the answer does not come before resolve() has returned.
Result<std::vector<Address>> resolve_now(const std::string& host, std::uint16_t port) {
  auto loop = Loop::create();
  REQUIRE(loop);
  Result<std::vector<Address>> answer = fail("none came");
  bool returned = false;
  bool early = false;
  resolve(**loop, host, port, [&](Result<std::vector<Address>> addresses) {
    early = !returned;
    answer = std::move(addresses);
    (*loop)->stop();
  });
  returned = true;
  (*loop)->run();
  REQUIRE_FALSE(early);
  return answer;
}

}  // namespace

TEST_CASE("localhost resolves to a loopback address with the port that was asked for") {
  const auto addresses = resolve_now("localhost", 8080);
  REQUIRE(addresses);
  REQUIRE_FALSE(addresses->empty());
  for (const Address& address : *addresses) {
    const std::string text = address.to_string();
    CHECK((text == "127.0.0.1:8080" || text == "[::1]:8080"));
  }
}

TEST_CASE("a name that cannot exist is an error that says so") {
  // RFC 6761: "invalid" never resolves.
  const auto addresses = resolve_now("no-such-host.invalid", 80);
  REQUIRE_FALSE(addresses);
  REQUIRE_FALSE(addresses.error().message.empty());
}

TEST_CASE("a name that is refused unasked is answered from the loop too") {
  REQUIRE_FALSE(resolve_now(std::string(300, 'a'), 80));
}
