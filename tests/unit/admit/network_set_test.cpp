#include "lb/admit/network_set.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>

using namespace weir;

namespace {

ClientAddress client(std::string_view ip) {
  return ip == "unix" ? ClientAddress() : *ClientAddress::parse_ip(ip);
}

std::vector<Network> networks(const std::vector<std::string>& texts) {
  std::vector<Network> out;
  out.reserve(texts.size());
  for (const auto& text : texts) out.push_back(*Network::parse(text));
  return out;
}

/// The same, by looking at each.
std::optional<std::uint32_t> look(const std::vector<Network>& all, const ClientAddress& of) {
  std::optional<std::uint32_t> best;
  for (std::uint32_t i = 0; i < all.size(); ++i)
    if (all[i].contains(of) && (!best || all[i].bits() > all[*best].bits())) best = i;
  return best;
}

/// Addresses of few different bits, so that networks often lie within each other, and often at the ends of
/// the line.
ClientAddress draw(std::mt19937& random) {
  std::string text;
  const bool v6 = (random() & 1) != 0;
  for (int i = 0; i < (v6 ? 8 : 4); ++i) {
    if (i > 0) text += v6 ? ':' : '.';
    constexpr unsigned kV4[] = {0, 1, 128, 255};
    constexpr const char* kV6[] = {"0", "1", "8000", "ffff"};
    text += v6 ? kV6[random() % 4] : std::to_string(kV4[random() % 4]);
  }
  return client(text);
}

}  // namespace

TEST_CASE("the longest network that contains a client is found, of equal ones the first") {
  const NetworkSet set(
      networks({"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "10.1.0.0/16", "2001:db8::/32", "unix"}));
  CHECK(set.find(client("10.2.0.1")) == 0u);
  CHECK(set.find(client("10.1.0.0")) == 1u);
  CHECK(set.find(client("10.1.255.255")) == 1u);
  CHECK(set.find(client("10.1.2.3")) == 2u);
  CHECK(set.find(client("10.1.2.4")) == 1u);
  CHECK(set.find(client("::ffff:10.1.2.3")) == 2u);
  CHECK(set.find(client("2001:db8::7")) == 4u);
  CHECK(set.find(client("unix")) == 5u);
  CHECK_FALSE(set.find(client("9.255.255.255")));
  CHECK_FALSE(set.find(client("11.0.0.0")));
  CHECK_FALSE(set.find(client("2001:db9::")));
  CHECK_FALSE(set.empty());
  CHECK(NetworkSet().empty());
  CHECK_FALSE(NetworkSet().contains(client("10.0.0.1")));
  CHECK_FALSE(NetworkSet().contains(client("unix")));
}

TEST_CASE("networks at both ends of the line, and the whole of it, are found") {
  const NetworkSet set(networks({"0.0.0.0/0", "255.255.255.255", "0.0.0.0", "::/0", "ffff::/16"}));
  CHECK(set.find(client("255.255.255.255")) == 1u);
  CHECK(set.find(client("255.255.255.254")) == 0u);
  CHECK(set.find(client("0.0.0.0")) == 2u);
  CHECK(set.find(client("0.0.0.1")) == 0u);
  CHECK(set.find(client("::")) == 3u);
  CHECK(set.find(client("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")) == 4u);
}

TEST_CASE("a set finds what looking at each network finds") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<Network> all;
    for (auto left = random() % 40; left > 0; --left) {
      const ClientAddress around = draw(random);
      all.push_back(Network::around(around, static_cast<unsigned>(random() % (around.ip().size() * 8 + 1))));
    }
    const NetworkSet set(all);
    for (int i = 0; i < 200; ++i) {
      const ClientAddress of = draw(random);
      CAPTURE(round, of.to_string());
      REQUIRE(set.find(of) == look(all, of));
    }
  }
}

TEST_CASE("a set of thousands of networks finds what looking at each network finds") {
  std::mt19937 random(11);
  const auto any = [&random] {
    std::string text = "2001:db8";
    for (int i = 0; i < 6; ++i) text += fmt::format(":{:x}", random() & 0xffff);
    const auto bits = random();
    return client(
        (random() & 1) != 0 ? text : fmt::format("10.{}.{}.{}", bits & 7, bits >> 8 & 255, bits >> 16 & 255));
  };
  std::vector<Network> all;
  for (int i = 0; i < 5'000; ++i) {
    const ClientAddress around = any();
    const auto most = static_cast<unsigned>(around.ip().size() * 8);
    all.push_back(Network::around(around, most / 4 + static_cast<unsigned>(random()) % (most * 3 / 4 + 1)));
  }
  const NetworkSet set(all);
  for (std::size_t i = 0; i < 300; ++i) {
    const ClientAddress of = any();
    CAPTURE(of.to_string());
    REQUIRE(set.find(of) == look(all, of));
    // Its own first address is in each of them.
    const Network& network = all[i * 16];
    REQUIRE(set.contains(client(network.to_string().substr(0, network.to_string().find('/')))));
  }
}
