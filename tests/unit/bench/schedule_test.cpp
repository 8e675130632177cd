#include "bench/load/schedule.h"

#include <catch2/catch.hpp>

#include "bench/load/pacer.h"

namespace weir::load {

TEST_CASE("in an open loop a stall delays no intended start") {
  Schedule schedule({.rate_per_second = 1000, .count = std::nullopt, .duration = kSecond});
  schedule.begin(0);
  CHECK(schedule.take(0) == Nanos{0});
  CHECK_FALSE(schedule.take(kMillisecond - 1));
  // 200 ms pass in which nothing was taken: those 200 are due with the times they were meant for.
  for (Nanos k = 1; k <= 200; ++k) CHECK(schedule.take(200 * kMillisecond) == k * kMillisecond);
  CHECK_FALSE(schedule.take(200 * kMillisecond));
}

TEST_CASE("an open loop has exactly rate times duration operations, however late they are taken") {
  Schedule schedule({.rate_per_second = 1000, .count = std::nullopt, .duration = kSecond});
  schedule.begin(0);
  int taken = 0;
  while (schedule.take(10 * kSecond)) ++taken;
  CHECK(taken == 1000);
  CHECK(schedule.next_due(10 * kSecond) == kNever);
}

TEST_CASE("what was due and never taken is said when the schedule is abandoned, once") {
  Schedule schedule({.rate_per_second = 1000, .count = std::nullopt, .duration = kSecond});
  schedule.begin(0);
  for (int i = 0; i < 300; ++i) REQUIRE(schedule.take(2 * kSecond));
  CHECK(schedule.abandon(2 * kSecond) == 700);
  CHECK(schedule.abandon(2 * kSecond) == 0);
  CHECK_FALSE(schedule.take(2 * kSecond));
}

TEST_CASE("a closed loop is due at once until its count or its time is used up") {
  Schedule counted({.rate_per_second = 0, .count = 2, .duration = std::nullopt});
  counted.begin(0);
  CHECK(counted.take(5) == Nanos{5});
  CHECK(counted.take(9) == Nanos{9});
  CHECK_FALSE(counted.take(10));

  Schedule timed({.rate_per_second = 0, .count = std::nullopt, .duration = Nanos{100}});
  timed.begin(0);
  CHECK(timed.take(99) == Nanos{99});
  CHECK_FALSE(timed.take(100));
}

TEST_CASE("a pacer moves its rate in even chunks") {
  Pacer pacer(1e6, 1000);
  pacer.begin(0);
  std::uint64_t moved = 0;
  for (Nanos now = 0; now < kSecond; now = pacer.next()) {
    if (!pacer.may_move(now)) continue;
    pacer.moved(1000);
    moved += 1000;
  }
  CHECK(moved >= 998'000);
  CHECK(moved <= 1'000'000);
}

TEST_CASE("a pacer does not make up for a long stall in one burst") {
  Pacer pacer(1e6, 1000);
  pacer.begin(0);
  std::uint64_t moved = 0;
  for (; pacer.may_move(10 * kSecond); moved += 1000) pacer.moved(1000);
  CHECK(moved == 100'000);
}

}  // namespace weir::load
