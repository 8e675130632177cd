#include "lb/base/congestion_control.h"

#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "lb/base/fd.h"
#include "tests/support/port.h"

using namespace weir;
using Catch::Matchers::StartsWith;

namespace {

Address address(const char* text) {
  return test::to_address(text);
}

}  // namespace

TEST_CASE("a connection to this host itself has the cheapest congestion control, others have the system's") {
  const UnnamedCongestionControl unnamed(HostAddresses({address("192.0.2.7:1"), address("[2001:db8::7]:1")}),
                                         "reno");
  for (const char* own : {"127.0.0.1:80", "127.8.9.10:80", "[::1]:80", "192.0.2.7:80", "[2001:db8::7]:80"})
    CHECK(unnamed.of(address(own)) == "reno");
  for (const char* other : {"192.0.2.8:80", "[2001:db8::8]:80", "unix:/run/x", "unix:@x"})
    CHECK(unnamed.of(address(other)).empty());
}

TEST_CASE("only a listener that nobody else can come to is changed") {
  const UnnamedCongestionControl unnamed(HostAddresses({address("192.0.2.7:1")}), "reno");
  CHECK(unnamed.of_listener(address("127.0.0.1:80")) == "reno");
  CHECK(unnamed.of_listener(address("[::1]:80")) == "reno");
  for (const char* open : {"0.0.0.0:80", "[::]:80", "192.0.2.7:80", "unix:/run/x"})
    CHECK(unnamed.of_listener(address(open)).empty());
}

TEST_CASE("where the system's does not pace, nothing is changed") {
  CHECK(UnnamedCongestionControl().of(address("127.0.0.1:80")).empty());
  CHECK(UnnamedCongestionControl().of_listener(address("127.0.0.1:80")).empty());
}

TEST_CASE("what the kernel does not have is answered with what it allows") {
  CHECK(may_use_congestion_control("reno"));
  CHECK(may_use_congestion_control(""));
  const auto may = may_use_congestion_control("warp");
  REQUIRE_FALSE(may);
  CHECK_THAT(may.error().message,
             StartsWith("the kernel does not have it: one of ") && Catch::Contains("reno"));
}

TEST_CASE("a socket has the congestion control that it was given") {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(congestion_control_of(fd.get()) == system_congestion_control());
  REQUIRE(set_congestion_control(fd.get(), "reno"));
  CHECK(congestion_control_of(fd.get()) == "reno");
  CHECK_FALSE(set_congestion_control(fd.get(), "warp"));
  CHECK(set_congestion_control(fd.get(), ""));
  CHECK(congestion_control_of(fd.get()) == "reno");
}
