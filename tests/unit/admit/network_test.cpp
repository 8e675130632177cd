#include "lb/admit/network.h"

#include <catch2/catch.hpp>

#include "lb/admit/network_file.h"

using namespace weir;

namespace {

ClientAddress client(std::string_view ip) {
  return ip == "unix" ? ClientAddress() : *ClientAddress::parse_ip(ip);
}

}  // namespace

TEST_CASE("a network reads back in its shortest form") {
  const auto [text, shown] = GENERATE(table<std::string, std::string>({
      {"10.0.0.0/8", "10.0.0.0/8"},
      {"10.1.2.3", "10.1.2.3"},
      {"10.1.2.3/32", "10.1.2.3"},
      {"0.0.0.0/0", "0.0.0.0/0"},
      {"255.255.255.254/31", "255.255.255.254/31"},
      {"2001:DB8::/32", "2001:db8::/32"},
      {"::/0", "::/0"},
      {"::1", "::1"},
      {"::1/128", "::1"},
      {"::ffff:10.1.2.3", "10.1.2.3"},
      {"::ffff:10.1.2.3/128", "10.1.2.3"},
      {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
      {"::ffff:0:0/96", "0.0.0.0/0"},
      {"::fffe:0:0/96", "::fffe:0:0/96"},
      {"unix", "unix"},
  }));
  CAPTURE(text);
  const auto network = Network::parse(text);
  REQUIRE(network);
  CHECK(network->to_string() == shown);
  CHECK(*Network::parse(shown) == *network);
}

TEST_CASE("what is no network is refused with what is wrong with it") {
  const auto [text, says] = GENERATE(table<std::string, std::string>({
      {"", "no network"},
      {"/8", "no network"},
      {"10.0.0/8", "no network"},
      {"10.0.0.0.0/8", "no network"},
      {"010.0.0.0/8", "no network"},
      {"10.0.0.256", "no network"},
      {" 10.0.0.0/8", "no network"},
      {"localhost", "no network"},
      {"unix:/run/x", "no network"},
      {"[::1]", "no network"},
      {"fe80::1%lo", "no network"},
      {"10.0.0.1:80", "no network"},
      {std::string("::1\0", 4), "no network"},
      {"10.0.0.0/", "0 to 32"},
      {"10.0.0.0/33", "0 to 32"},
      {"10.0.0.0/08", "0 to 32"},
      {"10.0.0.0/-1", "0 to 32"},
      {"10.0.0.0/+8", "0 to 32"},
      {"10.0.0.0/8 ", "0 to 32"},
      {"10.0.0.0/8/8", "0 to 32"},
      {"10.0.0.0/255.0.0.0", "0 to 32"},
      {"10.0.0.0/4294967304", "0 to 32"},
      {"::/129", "0 to 128"},
      {"10.0.0.1/8", "10.0.0.0/8 is meant, or the one address 10.0.0.1"},
      {"10.255.0.0/9", "10.128.0.0/9 is meant"},
      {"1.2.3.4/0", "0.0.0.0/0 is meant"},
      {"2001:db8::1/32", "2001:db8::/32 is meant"},
      {"2001:db8:0:1::/63", "2001:db8::/63 is meant"},
      {"::ffff:10.0.0.1/104", "10.0.0.0/8 is meant"},
      {"::ffff:0:0/95", "96 bits and more"},
      {"::ffff:10.0.0.0/8", "96 bits and more"},
  }));
  CAPTURE(text);
  const auto network = Network::parse(text);
  REQUIRE_FALSE(network);
  CHECK(network.error().message.find(says) != std::string::npos);
}

TEST_CASE("a network contains its clients and nobody else's") {
  const auto contains = [](std::string_view network, std::string_view ip) {
    return Network::parse(network)->contains(client(ip));
  };
  CHECK(contains("10.0.0.0/8", "10.255.255.255"));
  CHECK_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  CHECK(contains("10.0.0.0/8", "::ffff:10.1.1.1"));
  CHECK(contains("10.0.0.128/25", "10.0.0.200"));
  CHECK_FALSE(contains("10.0.0.128/25", "10.0.0.127"));
  CHECK(contains("0.0.0.0/0", "1.2.3.4"));
  CHECK_FALSE(contains("0.0.0.0/0", "::1"));
  CHECK_FALSE(contains("::/0", "1.2.3.4"));
  CHECK(contains("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  CHECK(contains("unix", "unix"));
  CHECK_FALSE(contains("unix", "10.0.0.1"));
  CHECK_FALSE(contains("0.0.0.0/0", "unix"));
  CHECK_FALSE(contains("::/0", "unix"));
}

TEST_CASE("a network contains the networks that are all in it") {
  const auto contains = [](std::string_view network, std::string_view other) {
    return Network::parse(network)->contains(*Network::parse(other));
  };
  CHECK(contains("10.0.0.0/8", "10.0.0.0/8"));
  CHECK(contains("10.0.0.0/8", "10.255.0.0/16"));
  CHECK(contains("2001:db8::/32", "2001:db8:1::1"));
  CHECK_FALSE(contains("10.255.0.0/16", "10.0.0.0/8"));
  CHECK_FALSE(contains("10.0.0.0/8", "11.0.0.0/16"));
  CHECK_FALSE(contains("::/0", "0.0.0.0/0"));
  CHECK_FALSE(contains("0.0.0.0/0", "unix"));
  CHECK(contains("unix", "unix"));
}

TEST_CASE("a client's network has its leading bits") {
  CHECK(Network::around(client("10.1.2.3"), 24).to_string() == "10.1.2.0/24");
  CHECK(Network::around(client("10.1.2.3"), 64).to_string() == "10.1.2.3");
  CHECK(Network::around(client("2001:db8:1:2:3::4"), 64).to_string() == "2001:db8:1:2::/64");
  CHECK(Network::around(client("::1"), 0).to_string() == "::/0");
  CHECK(Network::around(client("unix"), 32).is_unix());
}

TEST_CASE("a file of networks has one a line, with comments") {
  const auto file =
      parse_network_file("# all of ours\n10.0.0.0/8\r\n\n  2001:db8::/32 # lab\n\tunix\n192.0.2.1");
  CHECK(file.faults.empty());
  REQUIRE(file.networks.size() == 4);
  CHECK(file.networks[1].to_string() == "2001:db8::/32");
  CHECK(file.networks[3].to_string() == "192.0.2.1");
  CHECK(parse_network_file("").networks.empty());
  CHECK(parse_network_file("\n\n#\n").faults.empty());
}

TEST_CASE("each fault of a file of networks names its line, up to a number") {
  const auto file = parse_network_file("10.0.0.0/8\n10.0.0.1/8\n\n10.0.0.0/8, 11.0.0.0/8\n");
  REQUIRE(file.faults.size() == 2);
  CHECK(file.faults[0].line == 2);
  CHECK(file.faults[0].message.find("10.0.0.0/8 is meant") != std::string::npos);
  CHECK(file.faults[1].line == 4);
  CHECK(file.networks.size() == 1);

  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "no network, " + std::string(100, 'x') + "\n";
  const auto told = parse_network_file(many).faults;
  REQUIRE(told.size() == kMaxNetworkFaults + 1);
  CHECK(told.back().line == kMaxNetworkFaults + 1);
  CHECK(told.back().message == "this line and 99979 more are wrong, too");
  CHECK(told.front().message.size() < 200);
}
