#include "health/schedule.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

using namespace weir;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

std::vector<Schedule> schedules(std::size_t count, Millis interval) {
  std::vector<Schedule> result;
  Places places;
  for (std::size_t i = 0; i < count; ++i)
    result.emplace_back(interval, 500ms, places.next(interval), static_cast<std::uint32_t>(i + 1));
  return result;
}

std::size_t most_in_a_window(std::vector<nanoseconds> starts, nanoseconds window) {
  std::sort(starts.begin(), starts.end());
  std::size_t most = 0;
  std::size_t first = 0;
  for (std::size_t last = 0; last < starts.size(); ++last) {
    while (starts[last] - starts[first] >= window) ++first;
    most = std::max(most, last - first + 1);
  }
  return most;
}

}  // namespace

TEST_CASE("probes that all begin at once are spread over the interval from the second one on") {
  const std::size_t count = GENERATE(10u, 40u, 1000u);
  const nanoseconds begin = GENERATE(nanoseconds(0), nanoseconds(123'456'789'012'345));
  CAPTURE(count, begin.count());
  std::vector<nanoseconds> starts;
  for (Schedule& schedule : schedules(count, 1s))
    for (nanoseconds at = schedule.next(begin); at < begin + 20s; at = schedule.next(at))
      starts.push_back(at);
  CHECK(starts.size() >= count * 18);
  CHECK(most_in_a_window(starts, 50ms) <= std::max<std::size_t>(count / 4, 2));
}

TEST_CASE("starts lie 0.9 to 1.1 intervals apart, however long the interval") {
  const Millis interval = GENERATE(10ms, 100ms, 1000ms, 2000ms, 3'600'000ms);
  Schedule schedule(interval, 500ms, GENERATE(0.0, 0.3, 0.999), 7);
  CAPTURE(interval.count());
  nanoseconds at = schedule.next(5h);
  CHECK(at > 5h);
  CHECK(at - 5h <= interval * 1.1);
  for (int i = 0; i < 1000; ++i) {
    const nanoseconds next = schedule.next(at);
    REQUIRE(next - at >= interval * 0.9);
    REQUIRE(next - at <= interval * 1.1);
    at = next;
  }
}

TEST_CASE("starts are jittered, not periodic") {
  Schedule schedule(1s, 500ms, 0.5, 7);
  std::vector<nanoseconds> gaps;
  nanoseconds at = schedule.next(0s);
  for (int i = 0; i < 100; ++i) {
    const nanoseconds next = schedule.next(at);
    gaps.push_back(next - at);
    at = next;
  }
  const auto [least, most] = std::minmax_element(gaps.begin(), gaps.end());
  CHECK(*most - *least > 50ms);
}

TEST_CASE("a start that came out of turn is followed by the next place, within 1.1 intervals") {
  Schedule schedule(1s, 500ms, 0.25, 7);
  for (nanoseconds late = 0ms; late < 3s; late += 37ms) {
    const nanoseconds next = schedule.next(10s + late);
    CAPTURE(late.count());
    REQUIRE(next > 10s + late);
    REQUIRE(next - (10s + late) <= 1100ms);
  }
}

TEST_CASE("while a verdict is being confirmed the fast interval rules, unless the interval is shorter") {
  Schedule schedule(2s, 500ms, 0, 7);
  CHECK(schedule.next_fast(100s) >= 100'450ms - 5ms);
  CHECK(schedule.next_fast(100s) <= 100'550ms);
  Schedule shorter(100ms, 500ms, 0, 7);
  CHECK(shorter.next_fast(100s) <= 100'110ms);
}
