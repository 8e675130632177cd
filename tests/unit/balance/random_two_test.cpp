#include <catch2/catch.hpp>
#include <set>

#include "lb/balance/draw.h"
#include "tests/unit/balance/group.h"

using namespace weir;

TEST_CASE("random two: each is drawn as often as its weight says") {
  Group group("random_two", {{"a", 5}, {"b", 3}, {"c", 2}});
  group.build();
  std::vector<Member> members;
  for (const Backend& backend : group.backends)
    members.push_back({0, backend.id(), backend.name, backend.weight, 100, true, false, backend.load.get()});
  const Roster roster(members);
  const Draw draw(roster);
  std::map<Roster::Rank, int> first;
  for (int i = 0; i < 10'000; ++i) {
    auto hand = draw.take();
    const auto one = hand.first();
    const auto two = hand.other(one);
    ++first[one];
    REQUIRE(two);
    REQUIRE(*two != one);
    REQUIRE(*two < 3);
  }
  // Eight times the standard deviation, which is 50; a wrong weight is off by 1,000 at least.
  CHECK(std::abs(first[0] - 5'000) < 400);
  CHECK(std::abs(first[1] - 3'000) < 400);
  CHECK(std::abs(first[2] - 2'000) < 400);
}

TEST_CASE("random two: of the two the one with fewer sessions for its weight is taken") {
  Group group("random_two", {{"a", 1}, {"b", 1}});
  group.build();
  group.fill("a", 1);
  CHECK(group.picks(50) == std::string(50, 'b'));
  group.fill("b", 2);
  CHECK(group.picks(50) == std::string(50, 'a'));
}

TEST_CASE("random two: sessions that stay are spread nearly evenly") {
  Group group("random_two");
  for (int i = 0; i < 10; ++i) group.add(std::string(1, static_cast<char>('a' + i)));
  group.build();
  for (int i = 0; i < 1'000; ++i) group.fill(group.pool->pick({})->name, 1);
  std::uint32_t least = 1'000, most = 0;
  for (const Backend& backend : group.backends) {
    least = std::min(least, backend.load->active.load());
    most = std::max(most, backend.load->active.load());
  }
  CHECK(most - least < 10);
}

TEST_CASE("random two: who has been tried is not drawn again, and the last one left is found") {
  Group group("random_two");
  for (int i = 0; i < 40; ++i) group.add("b" + std::to_string(i));
  group.build();
  std::vector<BackendId> tried;
  std::set<std::string> seen;
  for (int i = 0; i < 40; ++i) {
    const Backend* const backend = group.pool->pick({{}, tried});
    REQUIRE(backend != nullptr);
    tried.push_back(backend->id());
    seen.insert(backend->name);
  }
  CHECK(seen.size() == 40);
  CHECK(group.pool->pick({{}, tried}) == nullptr);
}

TEST_CASE("random two: explain answers what the next pick takes") {
  Group group("random_two", {{"a", 1}, {"b", 2}, {"c", 3}});
  group.build();
  for (int i = 0; i < 50; ++i) {
    std::vector<std::string> because;
    const Backend* const foreseen = group.pool->explain({}, because).backend;
    CHECK(group.pool->pick({}) == foreseen);
    REQUIRE(because.size() == 2);
    CHECK(because[0].starts_with("random_two: draws "));
  }
}

TEST_CASE("first: one after another in the file's order, as far as there is room") {
  Group group("first", {{"a", 1}, {"b", 200}, {"c", 1}});
  group.limit("a", 2);
  group.limit("b", 1);
  group.build();
  std::string letters;
  for (int i = 0; i < 5; ++i) {
    letters += group.pool->pick({})->name;
    group.fill(letters.substr(letters.size() - 1), 1);
  }
  CHECK(letters == "aabcc");
  std::vector<std::string> because;
  CHECK(group.pool->explain({}, because).backend->name == "c");
  CHECK(because == std::vector<std::string>{"first: a is full (max_sessions = 2)",
                                            "first: b is full (max_sessions = 1)",
                                            "first: c is the first in the file's order that has room"});
  group.set("a", Health::Down);
  because.clear();
  CHECK(group.pool->explain({}, because).backend->name == "c");
}
