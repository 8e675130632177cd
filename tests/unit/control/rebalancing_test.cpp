#include "lb/control/rebalancing.h"

#include <catch2/catch.hpp>

#include "tests/unit/balance/group.h"

using namespace weir;

namespace {

/// "a+4 b+1": who has more than its share, and by how many.
std::string excess(Group& group, std::uint32_t to_percent = 110, std::uint64_t of = 0) {
  group.build();
  std::string out;
  for (const Excess& one : excess_of(*group.pool, to_percent, of))
    out += fmt::format("{}{}+{}", out.empty() ? "" : " ", group.pool->find(one.id)->name, one.sessions);
  return out;
}

}  // namespace

TEST_CASE("what is beyond a factor of the share, rounded up, is too much") {
  Group group("round_robin", {{"a", 1}, {"b", 1}});
  group.fill("a", 10);
  CHECK(excess(group) == "a+4");  // of 10 each has 5, and keeps 6
  CHECK(excess(group, 100) == "a+5");
  group.fill("b", 4);
  CHECK(excess(group) == "a+2");
  group.fill("b", 5);
  CHECK(excess(group) == "");
}

TEST_CASE("shares go by weight, a share that still grows included, and the most comes first") {
  Group group("round_robin", {{"a", 3}, {"b", 1}, {"c", 1}});
  group.fill("a", 30);
  group.fill("b", 30);
  CHECK(excess(group, 100) == "b+18");
  group["c"].share_percent = 10;
  CHECK(excess(group, 100) == "b+15");  // 60 × 100 / 410
  group.fill("a", 40);
  CHECK(excess(group, 100) == "b+5");
  group["a"].weight = 1;
  CHECK(excess(group, 100) == "a+22");  // 100 × 100 / 210
}

TEST_CASE("those who get no sessions have no share, and theirs do not count") {
  Group group("round_robin", {{"a", 1}, {"b", 1}});
  group.add("c").admin = Admin::Drained;
  group.add("d", 1, true).health = Health::Down;
  group.add("e").on_trial = true;
  group.fill("a", 6);
  group.fill("b", 4);
  group.fill("c", 90);
  group.fill("d", 90);
  CHECK(excess(group, 100) == "a+1");
  // Those on a backup that is not needed any more have no share at all.
  group["d"].health = Health::Up;
  CHECK(excess(group, 100) == "d+90");
  group["a"].health = group["b"].health = Health::Down;
  group["e"].health = Health::Down;
  group.add("f", 1, true);
  CHECK(excess(group, 100) == "d+45");
}

TEST_CASE("clients that are on their way back count as if they were there") {
  Group group("round_robin", {{"a", 1}, {"b", 1}});
  group.fill("a", 6);
  CHECK(excess(group, 100) == "a+3");
  CHECK(excess(group, 100, 12) == "");
  CHECK(excess(group, 100, 8) == "a+2");
}

TEST_CASE("nobody's share is more than it may have, and what it cannot have is the others'") {
  Group group("round_robin", {{"a", 1}, {"b", 1}, {"c", 1}});
  group.limit("b", 3);
  group.fill("a", 17);
  group.fill("b", 3);
  CHECK(excess(group) == "a+7");  // b has 3, the 17 others are for a and c: 8.5 each, of which 10 stay
  group.fill("c", 8);
  CHECK(excess(group) == "a+3");
  group.limit("c", 8);
  CHECK(excess(group, 100) == "");
}
