// Backends that have as many sessions as they may have.
#include <catch2/catch.hpp>

#include "tests/unit/balance/group.h"

using namespace weir;

namespace {

/// The numbers of clients that a backend gets of `clients` who come one after another and stay.
std::map<std::string, int> stay(Group& group, std::uint32_t clients) {
  std::map<std::string, int> result;
  for (std::uint32_t i = 0; i < clients; ++i) {
    const Backend* const backend = group.pool->pick({client_number(i), {}});
    ++result[backend != nullptr ? backend->name : "-"];
    if (backend != nullptr) group.fill(backend->name, 1);
  }
  return result;
}

}  // namespace

TEST_CASE("a lease is taken under the limit, other processes' sessions counted, and not beyond") {
  const auto load = std::make_shared<BackendLoad>(1, "web", "a", "10.0.0.1:80", 1);
  load->set_max_sessions(3);
  load->set_active_elsewhere(1);
  Lease first = Lease::take(load), second = Lease::take(load);
  CHECK(first.counts());
  CHECK(second.counts());
  CHECK_FALSE(load->has_room());
  CHECK_FALSE(Lease::take(load));
  CHECK(load->active == 2);
  first.end_count();
  CHECK(Lease::take(load));  // and given back at once
  load->set_active_elsewhere(2);
  CHECK_FALSE(Lease::take(load));
  load->set_max_sessions(0);
  CHECK(Lease::take(load));
  second = Lease();
  CHECK(load->active == 0);
}

TEST_CASE("who is full is passed over by every policy, and has its turn again with room") {
  const std::string policy = GENERATE("round_robin", "least_connections", "source_hash");
  const int members = GENERATE(4, 300);
  CAPTURE(policy, members);
  Group group(policy);
  for (int i = 0; i < members; ++i) group.add("b" + std::to_string(i));
  for (int i = 0; i < members; ++i) group.limit("b" + std::to_string(i), i == 2 ? 1'000 : 1);
  group.build();
  const auto got = stay(group, static_cast<std::uint32_t>(members) * 2);
  CHECK(got.size() == static_cast<std::size_t>(members));
  CHECK(got.at("b2") == members + 1);
  CHECK(got.count("-") == 0);
  CHECK(group.picks(20) == [] {
    std::string all;
    for (int i = 0; i < 20; ++i) all += "b2";
    return all;
  }());
  group.fill("b2", 1'000 - (members + 1));
  CHECK(group.picks(2) == "--");
  group["b1"].load->set_max_sessions(2);
  CHECK(group.picks(2) == "b1b1");
}

TEST_CASE("an overflow of source_hash goes to the client's next backend, the same one each time") {
  const int members = GENERATE(5, 300);
  Group group("source_hash");
  for (int i = 0; i < members; ++i) group.add("b" + std::to_string(i));
  group.build();
  for (std::uint32_t client = 0; client < 50; ++client) {
    const PickInput input{client_number(client), {}};
    const std::string own = group.pool->pick(input)->name;
    const BackendId tried[] = {group[own].id()};
    const std::string next = group.pool->pick({input.client, tried})->name;
    group.limit(own, 1);
    group.build();
    CHECK(group.pool->pick(input)->name == own);
    Lease held = Lease::take(group[own].load);
    CHECK(group.pool->pick(input)->name == next);
    CHECK(group.pool->pick(input)->name == next);
    held = Lease();
    group.limit(own, 0);
    group.build();
  }
}

TEST_CASE("backups serve when every primary is full, and nobody is left when they are, too") {
  Group group("round_robin");
  group.add("a");
  group.add("b");
  group.add("spare", 1, true);
  for (const char* name : {"a", "b", "spare"}) group.limit(name, 1);
  group.build();
  CHECK(stay(group, 4) == std::map<std::string, int>{{"a", 1}, {"b", 1}, {"spare", 1}, {"-", 1}});
  const Choice choice = group.pool->choose({});
  CHECK(choice.kind == Choice::Kind::Wait);
  CHECK(choice.wait_for == WaitFor::BackendSlot);
}

TEST_CASE("only a session for which somebody has yet to be tried waits for room") {
  Group group("round_robin", {{"a", 1}, {"b", 1}});
  group.limit("a", 1);
  group.build();
  group.fill("a", 1);
  const BackendId both[] = {group["a"].id(), group["b"].id()};
  const BackendId other[] = {group["b"].id()};
  CHECK(group.pool->choose({{}, both}).kind == Choice::Kind::None);
  CHECK(group.pool->choose({{}, other}).kind == Choice::Kind::Wait);
  CHECK(group.pool->choose({}).backend->name == "b");
  group.set("b", Health::Down);
  group.set("a", Health::Down);
  CHECK(group.pool->choose({}).kind == Choice::Kind::None);
}

TEST_CASE("one that is ejected, or on trial, is not used beyond its limit either") {
  Group group("round_robin", {{"a", 1}});
  group["a"].unprobed = true;
  group["a"].health = Health::Down;
  group.limit("a", 1);
  group.build();
  REQUIRE(group.pool->choose({}).kind == Choice::Kind::Chosen);
  group.fill("a", 1);
  CHECK(group.pool->choose({}).wait_for == WaitFor::BackendSlot);
}

TEST_CASE("of two who pick for the last place one gets it") {
  Group group("least_connections", {{"a", 1}});
  group.limit("a", 1);
  group.build();
  const Backend* const first = group.pool->choose({}).backend;
  const Backend* const second = group.pool->choose({}).backend;
  REQUIRE(first == second);
  const Lease one = Lease::take(first->load);
  const Lease two = Lease::take(second->load);
  CHECK(one);
  CHECK_FALSE(two);
}

TEST_CASE("explain says who is full, and that a session would wait") {
  const std::string policy = GENERATE("round_robin", "least_connections", "source_hash");
  Group group(policy, {{"a", 1}, {"b", 1}});
  group.limit("a", 2);
  group.limit("b", 2);
  group.build();
  group.fill("a", 2);
  std::vector<std::string> because;
  const auto told = [&](const std::string& what) {
    return std::ranges::any_of(because, [&](const auto& line) { return line.find(what) != line.npos; });
  };
  const ClientAddress client = *ClientAddress::parse_ip("10.0.0.7");
  CHECK(group.pool->explain({client, {}}, because).backend->name == "b");
  if (policy != "source_hash") CHECK(told("a is full (max_sessions = 2)"));
  group.fill("b", 2);
  because.clear();
  CHECK(group.pool->explain({client, {}}, because).backend == nullptr);
  CAPTURE(because);
  CHECK((told("a is full (max_sessions = 2)") || told("b is full (max_sessions = 2)")));
  CHECK(told("a session would wait for room: up to 100 do, for 5s at most (0 now)"));
}
