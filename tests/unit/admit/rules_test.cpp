#include "lb/admit/rules.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

using Texts = std::vector<std::string>;

Rules rules(const Texts& allow, const Texts& deny) {
  const auto read = [](const Texts& texts) {
    std::vector<Network> out;
    for (const auto& text : texts) out.push_back(*Network::parse(text));
    return out;
  };
  return Rules(read(allow), read(deny));
}

std::string decided(const Rules& rules, std::string_view ip) {
  const auto decision = rules.decide(ip == "unix" ? ClientAddress() : *ClientAddress::parse_ip(ip));
  return (decision.allowed ? "in: " : "out: ") + rules.in_words(decision);
}

}  // namespace

TEST_CASE("without rules everybody is let in") {
  CHECK(decided(Rules(), "10.0.0.1") == "in: no rule names it");
  CHECK(decided(Rules(), "::1") == "in: no rule names it");
  CHECK(decided(Rules(), "unix") == "in: no rule names it");
}

TEST_CASE("whom no rule names is let in if nobody is allowed by name") {
  CHECK(decided(rules({}, {"10.0.0.0/8"}), "10.0.0.1") == "out: deny 10.0.0.0/8");
  CHECK(decided(rules({}, {"10.0.0.0/8"}), "11.0.0.1") == "in: no rule names it");
  CHECK(decided(rules({"10.0.0.0/8"}, {}), "10.0.0.1") == "in: allow 10.0.0.0/8");
  CHECK(decided(rules({"10.0.0.0/8"}, {}), "11.0.0.1") == "out: not in allow");
  CHECK(decided(rules({"10.0.0.0/8"}, {}), "::1") == "out: not in allow");
}

TEST_CASE("the longest network decides, whatever the order") {
  const auto both = rules({"10.1.0.0/16", "10.1.2.3"}, {"10.0.0.0/8", "10.1.2.0/24"});
  CHECK(decided(both, "10.2.0.1") == "out: deny 10.0.0.0/8");
  CHECK(decided(both, "10.1.0.1") == "in: allow 10.1.0.0/16");
  CHECK(decided(both, "10.1.2.4") == "out: deny 10.1.2.0/24");
  CHECK(decided(both, "::ffff:10.1.2.3") == "in: allow 10.1.2.3");
  CHECK(both.warnings().empty());
}

TEST_CASE("at equal length deny counts, and the operator is warned") {
  const auto both = rules({"10.0.0.0/8", "unix", "::/0", "::ffff:192.0.2.1"}, {"192.0.2.1", "::/0", "unix"});
  CHECK(decided(both, "10.0.0.1") == "in: allow 10.0.0.0/8");
  CHECK(decided(both, "::1") == "out: deny ::/0");
  CHECK(decided(both, "192.0.2.1") == "out: deny 192.0.2.1");
  CHECK(decided(both, "unix") == "out: deny unix");
  CHECK(both.warnings() == Texts{"unix is both in allow and in deny: deny counts",
                                 "192.0.2.1 is both in allow and in deny: deny counts",
                                 "::/0 is both in allow and in deny: deny counts"});
}

TEST_CASE("rules do not concern a client without an address, unless unix is named") {
  CHECK(decided(rules({"10.0.0.0/8"}, {"0.0.0.0/0", "::/0"}), "unix") == "in: no rule names it");
  CHECK(decided(rules({}, {"unix"}), "unix") == "out: deny unix");
  CHECK(decided(rules({"unix"}, {}), "unix") == "in: allow unix");
  CHECK(decided(rules({"unix"}, {}), "10.0.0.1") == "out: not in allow");
}
