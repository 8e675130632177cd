#include "lb/observe/events.h"

#include <catch2/catch.hpp>

#include "lb/observe/condition.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::system_clock::time_point kStart{1'769'853'600'123ms};

Event of(const std::string& backend, std::string text, std::chrono::milliseconds after) {
  return {.time = kStart + after,
          .kind = Event::Kind::Health,
          .pool = "web",
          .backend = backend,
          .text = std::move(text)};
}

}  // namespace

TEST_CASE("what repeats within a second is one event with a count, whatever else happens in between") {
  Events events;
  events.add(of("a", "down", 0ms));
  events.add(of("b", "down", 100ms));
  events.add(of("a", "down", 900ms));
  events.add(of("a", "down", 1'900ms));
  events.add(of("a", "up", 1'900ms));
  events.add(of("a", "down", 3'000ms));
  const auto found = events.find({.pool = "web", .backend = "a"});
  REQUIRE(found.size() == 3);
  CHECK(found[0].count == 3);
  CHECK(found[0].time == kStart + 1'900ms);
  CHECK(found[1].text == "up");
  CHECK(found[2].count == 1);
}

TEST_CASE("the last events are kept, and of those the newest that are wanted are told in their order") {
  Events events;
  for (std::size_t i = 0; i < Events::kMost + 5; ++i)
    events.add(of("a", std::to_string(i), 2'000ms * static_cast<int>(i)));
  CHECK(events.all().size() == Events::kMost);
  CHECK(events.all().front().text == "5");
  const auto last = events.find({.most = 2});
  REQUIRE(last.size() == 2);
  CHECK(last[0].text == "10003");
  CHECK(last[1].text == "10004");
  CHECK(events.find({.since = kStart + 2'000ms * 10'004}).size() == 1);
  CHECK(events.find({.pool = "other"}).empty());
}

TEST_CASE("a condition begins once, and has ended when it has not been so for ten seconds") {
  using Change = Condition::Change;
  Condition condition;
  const Condition::TimePoint start{};
  CHECK_FALSE(condition.look(false, start));
  CHECK(condition.look(true, start) == Change::Begins);
  CHECK_FALSE(condition.look(true, start + 5s));
  CHECK_FALSE(condition.look(false, start + 14s));
  CHECK_FALSE(condition.look(true, start + 14s));
  CHECK_FALSE(condition.look(false, start + 23s));
  CHECK(condition.look(false, start + 24s) == Change::Ends);
  CHECK(condition.lasted() == 14s);
  CHECK_FALSE(condition.look(false, start + 25s));
  CHECK(condition.look(true, start + 26s) == Change::Begins);
}
