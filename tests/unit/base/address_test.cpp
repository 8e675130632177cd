#include "lb/base/address.h"

#include <net/if.h>

#include <catch2/catch.hpp>

using namespace weir;

TEST_CASE("an address reads back as it was written") {
  const std::string text = GENERATE("203.0.113.9:80", "[2001:db8::1]:443", "0.0.0.0:0", "[::]:65535");
  const auto address = Address::parse_ip_port(text);
  REQUIRE(address.has_value());
  CHECK(address->to_string() == text);
  CHECK(*address == Address(address->data(), address->size()));
}

TEST_CASE("an endpoint is an address, a host name or a unix path") {
  CHECK(parse_endpoint("10.0.0.1:80")->address.has_value());
  CHECK(parse_endpoint("[::1]:80")->address->family() == AF_INET6);
  const auto unix_endpoint = parse_endpoint("unix:/run/app.sock");
  REQUIRE(unix_endpoint.has_value());
  CHECK(unix_endpoint->address->path() == "/run/app.sock");
  CHECK(unix_endpoint->address->to_string() == "unix:/run/app.sock");
  const auto named = parse_endpoint("db-1.internal:5432");
  REQUIRE(named.has_value());
  CHECK_FALSE(named->address.has_value());
  CHECK(named->host == "db-1.internal");
  CHECK(named->port == 5432);
}

TEST_CASE("a bad endpoint is refused with what is wrong with it") {
  const auto [text, says] = GENERATE(table<std::string, std::string>({
      {"10.0.0.1", "has no port"},
      {"10.0.0.1:0", "port 0"},
      {"10.0.0.1:65536", "not a port"},
      {"10.0.0.1:-1", "not a port"},
      {"10.0.0.1: 80", "not a port"},
      {"10.0.0:80", "neither an IP address nor a host name"},
      {"10.0.0.256:80", "neither an IP address nor a host name"},
      {"::1:80", "in brackets"},
      {"[::1:80", "without its ]"},
      {"[::1]", "no port"},
      {"[10.0.0.1]:80", "brackets"},
      {"[nonsense]:80", "not an IPv6 address"},
      {":80", "no host"},
      {"bad host:80", "neither"},
      {"unix:relative", "absolute"},
      {"unix:@", "no name behind it"},
      {"[fe80::1]:80", "is link-local: write its interface too"},
      {"[fe80::1%]:80", "no interface"},
      {"[fe80::1%no-such]:80", "no interface \"no-such\""},
      {"[fe80::1%0]:80", "no interface"},
      {"[2001:db8::1%lo]:80", "only link-local addresses"},
      {"[10.0.0.1%lo]:80", "only link-local addresses"},
      {"", "no port"},
  }));
  CAPTURE(text);
  const auto endpoint = parse_endpoint(text);
  REQUIRE_FALSE(endpoint.has_value());
  CHECK(endpoint.error().message.find(says) != std::string::npos);
}

TEST_CASE("a unix path has at most 107 bytes") {
  CHECK(Address::unix_path("/" + std::string(106, 'a')).has_value());
  const auto longer = Address::unix_path("/" + std::string(107, 'a'));
  REQUIRE_FALSE(longer.has_value());
  CHECK(longer.error().message.find("107") != std::string::npos);
}

TEST_CASE("an IPv4-mapped client is the IPv4 client") {
  CHECK(*ClientAddress::parse_ip("::ffff:127.0.0.5") == *ClientAddress::parse_ip("127.0.0.5"));
  CHECK(ClientAddress::parse_ip("127.0.0.5")->ip().size() == 4);
  CHECK(ClientAddress::parse_ip("[2001:db8::5]")->ip_to_string() == "2001:db8::5");
  CHECK_FALSE(ClientAddress::parse_ip("localhost").has_value());
  CHECK(ClientAddress().to_string() == "unix");
}

TEST_CASE("an abstract unix name is an address without a file") {
  const auto endpoint = parse_endpoint("unix:@weir/web");
  REQUIRE(endpoint);
  const Address& address = *endpoint->address;
  CHECK(address.is_unix());
  CHECK_FALSE(address.has_file());
  CHECK(address.to_string() == "unix:@weir/web");
  CHECK(address.size() == sizeof(sa_family_t) + 1 + 8);
  CHECK(address == *Address::parse_unix("@weir/web"));
  CHECK_FALSE(address == *Address::parse_unix("@weir/we"));
  CHECK_FALSE(address == *Address::parse_unix("/weir/web"));
  // As the kernel tells it.
  CHECK(Address(address.data(), address.size()).to_string() == "unix:@weir/web");
  CHECK(Address::parse_unix("@" + std::string(107, 'a')));
  CHECK_FALSE(Address::parse_unix("@" + std::string(108, 'a')));
  CHECK_FALSE(Address::unix_path("@weir"));
}

TEST_CASE("a link-local address has its zone, by name or by number") {
  const auto named = parse_endpoint("[fe80::1%lo]:80");
  REQUIRE(named);
  CHECK(named->address->to_string() == "[fe80::1%lo]:80");
  const auto index = if_nametoindex("lo");
  const auto numbered = parse_endpoint("[fe80::1%" + std::to_string(index) + "]:80");
  REQUIRE(numbered);
  CHECK(*numbered->address == *named->address);
  const auto other = parse_endpoint("[fe80::1%9999]:80");
  REQUIRE(other);
  CHECK(other->address->to_string() == "[fe80::1%9999]:80");
  CHECK_FALSE(*other->address == *named->address);
}
