#include "lb/control/door_rules.h"

#include <catch2/catch.hpp>

#include "lb/admit/door.h"

using namespace weir;

namespace {

Network network(const char* text) {
  return *Network::parse(text);
}
ClientAddress client(const char* ip) {
  return *ClientAddress::parse_ip(ip);
}

}  // namespace

TEST_CASE("an older process judges by the rules that it is told as the process does that tells them") {
  DoorTerms terms;
  terms.proxy_from = {network("192.0.2.0/24")};
  terms.allow = {network("10.0.0.0/8"), network("2001:db8::/32"), network("unix")};
  terms.deny = {network("10.1.0.0/16")};
  terms.sessions_per_client = 5;
  DoorsByListener doors{{"web \"one\"", Door::make(terms)}, {"open", nullptr}};
  const auto told = parse_door_rules(format_door_rules(doors));
  REQUIRE(told);
  REQUIRE(told->size() == 2);
  CHECK(told->at("open") == nullptr);
  const auto& door = told->at("web \"one\"");
  REQUIRE(door != nullptr);
  CHECK(door->expects_header());
  CHECK(door->may_announce(client("192.0.2.7")));
  CHECK_FALSE(door->may_announce(client("192.0.3.7")));
  for (const char* ip : {"10.2.3.4", "10.1.3.4", "11.0.0.1", "2001:db8::1", "2001:db9::1"})
    CHECK(door->rules().decide(client(ip)).allowed ==
          doors.at("web \"one\"")->rules().decide(client(ip)).allowed);
}

TEST_CASE("rules that make no sense are refused") {
  for (const char* text : {"", "[]", R"({"web": 1})", R"({"web": {"allow": [], "deny": []}})",
                           R"({"web": {"proxy_from": [], "allow": ["10.0.0.0/33"], "deny": []}})"})
    CHECK_FALSE(parse_door_rules(text));
  CHECK(parse_door_rules("{}")->empty());
}
