// The first rule that fits, in a place where the longest network decides.
#include "lb/convert/access.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <optional>
#include <random>

#include "lb/convert/network_words.h"

using namespace weir::convert;
using weir::Network;

namespace {

struct Rule {
  Verdict verdict;
  Network network;
};

std::vector<Network> networks_in(const Table& table, std::string_view key) {
  std::vector<Network> out;
  std::string text = table.value(key);
  for (auto open = text.find('"'); open != std::string::npos; open = text.find('"')) {
    const auto close = text.find('"', open + 1);
    out.push_back(network_of(text.substr(open + 1, close - open - 1)).value());
    text.erase(0, close + 1);
  }
  return out;
}

/// As Weir decides: the longest network, at equal length deny; whom none names, if allow is empty.
bool lets_in(const Table& table, const Network& client) {
  const auto allow = networks_in(table, "allow"), deny = networks_in(table, "deny");
  int best = -1;
  bool allowed = allow.empty();
  for (const Network& one : deny)
    if (one.contains(client) && static_cast<int>(one.bits()) > best) {
      best = static_cast<int>(one.bits());
      allowed = false;
    }
  for (const Network& one : allow)
    if (one.contains(client) && static_cast<int>(one.bits()) > best) {
      best = static_cast<int>(one.bits());
      allowed = true;
    }
  return allowed;
}

bool first_match(const std::vector<Rule>& rules, Verdict others, const Network& client) {
  for (const Rule& rule : rules)
    if (rule.network.contains(client)) return rule.verdict == Verdict::Allow;
  return others == Verdict::Allow;
}

}  // namespace

TEST_CASE("whatever the rules and their order, whom the first lets in is whom Weir lets in") {
  std::mt19937 random(7);
  const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };
  const std::vector<unsigned> kBits{0, 8, 15, 16, 24, 31, 32};
  for (int round = 0; round < 2'000; ++round) {
    std::vector<Rule> rules;
    for (unsigned i = below(7); i > 0; --i)
      rules.push_back(
          {below(2) == 0 ? Verdict::Allow : Verdict::Deny,
           network_of(fmt::format("10.{}.{}.{}/{}", below(2), below(2), below(2), kBits[below(7)])).value()});
    const auto others = below(3) == 0   ? std::optional<Verdict>()
                        : below(2) == 0 ? Verdict::Allow
                                        : Verdict::Deny;
    Access access;
    std::string said;
    for (const Rule& rule : rules) {
      said +=
          fmt::format("{} {}\n", rule.verdict == Verdict::Allow ? "allow" : "deny", rule.network.to_string());
      access.add(rule.verdict, rule.network, 1, "a rule");
    }
    if (others) access.rest(*others, 2);
    Table table;
    access.write(table, false);
    INFO(said << (others == Verdict::Deny ? "deny all\n" : "") << table.toml(""));
    for (const char* client :
         {"10.0.0.0", "10.0.0.1", "10.0.1.0", "10.1.0.1", "10.1.1.1", "10.7.0.0", "192.0.2.1"}) {
      INFO(client);
      const auto address = network_of(client).value();
      REQUIRE(lets_in(table, address) == first_match(rules, others.value_or(Verdict::Allow), address));
    }
  }
}

TEST_CASE("a network is as Weir writes it, whatever its mask") {
  const auto text = [](std::string_view written) {
    const auto network = network_of(written);
    return network ? network->to_string() : "none";
  };
  CHECK(text("10.1.1.0/16") == "10.1.0.0/16");
  CHECK(text("10.1.1.1/255.255.0.0") == "10.1.0.0/16");
  CHECK(text("10.1.1.1") == "10.1.1.1");
  CHECK(text("2001:db8:1::1/32") == "2001:db8::/32");
  CHECK(text("0.0.0.0/0") == "0.0.0.0/0");
  CHECK(text("::/0") == "::/0");
  // Clients that come so are IPv4 clients in Weir.
  CHECK(text("::ffff:10.1.1.1") == "10.1.1.1");
  CHECK(text("::ffff:10.1.1.1/104") == "10.0.0.0/8");
  for (const char* odd : {"", "10.1", "10.1.1.1/33", "10.1.1.1/255.0.255.0", "a.example.org", "10.1.1.1/",
                          "::1/129", "[::1]", "::ffff:10.0.0.0/95"})
    CHECK(text(odd) == "none");
}
