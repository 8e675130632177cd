#include <catch2/catch.hpp>

#include "tests/unit/balance/group.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

std::string next(const Group& group, std::uint64_t now_ms) {
  return group.pool->pick({.client = {}, .tried = {}, .now_ms = now_ms})->name;
}

}  // namespace

TEST_CASE("a smoothed time follows what is new, and halves every 10 s without any") {
  SmoothedTime time;
  CHECK_FALSE(time.at(5));
  time.record(800us, 1'000);
  CHECK(*time.at(1'000) == Approx(800));
  time.record(1'600us, 1'000);
  CHECK(*time.at(1'000) == Approx(900));
  CHECK(*time.at(11'000) == Approx(450));
  CHECK(*time.at(21'000) == Approx(225));
  CHECK(*time.at(900) == Approx(900));  // another thread's clock is a little behind
  for (int i = 0; i < 100; ++i) time.record(100us, 30'000);
  CHECK(*time.at(30'000) == Approx(100).margin(1));
}

TEST_CASE("a smoothed time is that of the last 49 days, also when the clock's 32 bits run over") {
  SmoothedTime time;
  const std::uint64_t late = (std::uint64_t{1} << 32) - 5'000;
  time.record(800us, late);
  CHECK(*time.at(late + 10'000) == Approx(400));
}

TEST_CASE("least time: fewest sessions for the weight, times the time to the first byte") {
  Group group("least_time", {{"a", 1}, {"b", 1}, {"c", 1}});
  group.build();
  group["a"].load->record_first_byte(10ms, 1'000);
  group["b"].load->record_first_byte(2ms, 1'000);
  group["c"].load->record_first_byte(50ms, 1'000);
  CHECK(next(group, 1'000) == "b");
  group.fill("b", 4);  // 5 × 2 ms is no more than 1 × 10 ms
  CHECK(next(group, 1'000) == "a");
  group.fill("b", 1);
  group.fill("a", 1);
  CHECK(next(group, 1'000) == "b");
  group["a"].weight = group["a"].configured_weight = 10;
  group.build();
  CHECK(next(group, 1'000) == "a");
}

TEST_CASE(
    "least time: one that was slow is tried again, and one of which nothing is known counts as average") {
  Group group("least_time", {{"a", 1}, {"b", 1}});
  group.build();
  group["a"].load->record_first_byte(1ms, 0);
  group["b"].load->record_first_byte(1s, 0);
  CHECK(next(group, 0) == "a");
  for (std::uint64_t now = 0; now <= 120'000; now += 100) group["a"].load->record_first_byte(1ms, now);
  CHECK(next(group, 120'000) == "b");
  group["b"].load->record_first_byte(1s, 120'000);
  CHECK(next(group, 120'000) == "a");
  group.add("c");
  group.build();
  // (1 ms + 126 ms) / 2: neither better than the best nor as bad as the worst.
  CHECK(next(group, 120'000) == "a");
  group.fill("a", 80);
  CHECK(next(group, 120'000) == "c");
}

TEST_CASE("least time: of many some are drawn, and whoever is left is found") {
  Group group("least_time");
  for (int i = 0; i < 300; ++i) group.limit(group.add("b" + std::to_string(i)).name, 1);
  group.build();
  for (int i = 0; i < 300; ++i) {
    const Backend* const backend = group.pool->pick({});
    REQUIRE(backend != nullptr);
    group.fill(backend->name, 1);
  }
  CHECK(group.pool->pick({}) == nullptr);
}

TEST_CASE("times are smoothed for those who ask for it only") {
  Group group("round_robin", {{"a", 1}});
  group.build();
  group["a"].load->record_first_byte(10ms, 0);
  CHECK_FALSE(group["a"].load->first_byte_of_late.at(0));
}

TEST_CASE("least time: explain names the best, their sessions and times") {
  Group group("least_time", {{"a", 1}, {"b", 2}});
  group.build();
  group["b"].load->record_first_byte(3ms, 0);
  std::vector<std::string> because;
  CHECK(group.pool->explain({}, because).backend->name == "b");
  REQUIRE(because.size() == 2);
  CHECK(because[0] == "least_time: b has 0 sessions for weight 2, and takes 3.0 ms to its first byte");
  CHECK(because[1] == "least_time: a has 0 sessions for weight 1, and nothing is known of its times yet");
}
