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

namespace {

std::vector<std::string> texts(const std::vector<Event>& events) {
  std::vector<std::string> out;
  for (const Event& event : events) out.push_back(event.text);
  return out;
}

Event said(const std::string& text, std::chrono::milliseconds at, const std::string& pool = "web") {
  return {.time = std::chrono::system_clock::time_point(at),
          .kind = Event::Kind::Word,
          .pool = pool,
          .text = text};
}

}  // namespace

TEST_CASE("a follower reads what comes, once, and is told of each") {
  using namespace std::chrono_literals;
  Events events;
  events.add(said("before", 1s));
  int woken = 0;
  Events::Follower follower(events, {}, [&] { ++woken; });
  CHECK(follower.next(10).empty());
  events.add(said("one", 10s));
  events.add(said("two", 20s));
  events.add(said("three", 30s));
  CHECK(woken == 3);
  CHECK(texts(follower.next(2)) == std::vector<std::string>{"one", "two"});
  CHECK(texts(follower.next(2)) == std::vector<std::string>{"three"});
  CHECK(follower.next(2).empty());
  // The same again within a second is the same event once more, and is told again with its count.
  events.add(said("three", 30'500ms));
  const auto again = follower.next(2);
  REQUIRE(again.size() == 1);
  CHECK(again[0].count == 2);
}

TEST_CASE("a follower of one pool reads of no other and from a time on") {
  using namespace std::chrono_literals;
  Events events;
  for (int i = 1; i <= 5; ++i)
    events.add(said(std::to_string(i), std::chrono::seconds(i * 10), i % 2 ? "web" : "db"));
  Events::Follower follower(
      events, {.pool = "web", .backend = "", .since = std::chrono::system_clock::time_point(20s)}, [] {});
  CHECK(texts(follower.next(10)) == std::vector<std::string>{"3", "5"});
}

TEST_CASE("a follower that comes again goes on where it was whatever the numbers are") {
  using namespace std::chrono_literals;
  const auto fill = [](Events& events) {
    events.add(said("a", 10s));
    events.add(said("b", 20s));
    events.add(said("c", 20s));
    events.add(said("d", 20s));
    events.add(said("e", 30s));
  };
  const std::vector<std::string> all{"a", "b", "c", "d", "e"};
  const auto read = GENERATE(1, 2, 3, 4, 5);
  Events first, second;
  fill(first);
  Events::Follower before(first, {.since = std::chrono::system_clock::time_point(0s)}, [] {});
  CHECK(texts(before.next(static_cast<std::size_t>(read))) ==
        std::vector<std::string>(all.begin(), all.begin() + read));
  second.add(said("older", 1s));
  fill(second);
  Events::Follower after(second, {.after = before.place()}, [] {});
  CHECK(texts(after.next(10)) == std::vector<std::string>(all.begin() + read, all.end()));
}

TEST_CASE("a follower that has read nothing yet knows where it is") {
  using namespace std::chrono_literals;
  Events first, second;
  for (Events* events : {&first, &second})
    for (const auto& [text, at] : {std::pair("a", 10s), {"b", 20s}, {"c", 20s}}) events->add(said(text, at));
  Events::Follower before(first, {}, [] {});
  CHECK(before.next(10).empty());
  second.add(said("d", 20s));
  Events::Follower after(second, {.after = before.place()}, [] {});
  CHECK(texts(after.next(10)) == std::vector<std::string>{"d"});
}

TEST_CASE("a follower that is slow is told how many it has missed and holds nothing") {
  using namespace std::chrono_literals;
  Events events;
  Events::Follower slow(events, {.pool = "web"}, [] {});
  for (std::size_t i = 0; i < Events::kMost + 20; ++i)
    events.add(said(std::to_string(i), std::chrono::seconds(10 * i), i % 2 ? "web" : "db"));
  CHECK(events.all().size() == Events::kMost);
  CHECK(slow.take_missed() == 10);
  CHECK(slow.take_missed() == 0);
  CHECK(slow.next(1).at(0).text == "21");
}

TEST_CASE("once another process tells what becomes of backends, it is kept here no more; own trouble is") {
  Events events;
  events.hand_over();
  events.tell(spdlog::level::info, of("web1", "up → down: refused", 0ms));
  CHECK(events.all().empty());
  events.tell(spdlog::level::info, {.time = kStart, .kind = Event::Kind::Trouble, .text = "no descriptors"});
  CHECK(events.all().size() == 1);
}
