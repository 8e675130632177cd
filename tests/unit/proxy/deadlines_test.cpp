#include "lb/proxy/deadlines.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <vector>

using weir::Deadline;
using weir::Deadlines;

namespace {

constexpr std::uint64_t kFarMs = std::uint64_t{1} << 36;

/// What a wheel is compared with: the same contract, kept by a sorted map.
struct Model {
  std::multimap<std::uint64_t, Deadline*> by_due;

  void unset(Deadline* deadline) {
    std::erase_if(by_due, [&](const auto& entry) { return entry.second == deadline; });
  }
  void set(Deadline* deadline, std::uint64_t due_ms) {
    unset(deadline);
    by_due.emplace(due_ms, deadline);
  }
};

std::vector<Deadline*> expire_all(Deadlines& wheel, std::uint64_t now_ms) {
  std::vector<Deadline*> due;
  while (Deadline* const deadline = wheel.expire_one(now_ms)) due.push_back(deadline);
  return due;
}

/// A delay of any magnitude that a session may have, small ones as likely as large ones.
std::uint64_t random_delay(std::mt19937_64& random) {
  const auto bits = random() % 36;
  return random() & ((std::uint64_t{1} << bits) - 1);
}

}  // namespace

TEST_CASE("a deadline comes due at its millisecond, whichever level of the wheel it began in") {
  for (const std::uint64_t start : {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{123'456'789}}) {
    for (unsigned bits = 0; bits < 36; ++bits) {
      for (const std::uint64_t delay : {std::uint64_t{1} << bits, (std::uint64_t{1} << bits) + 37}) {
        Deadlines wheel(start);
        Deadline deadline;
        wheel.set(deadline, start + delay);
        INFO("start " << start << " delay " << delay);
        REQUIRE(wheel.expire_one(start + delay - 1) == nullptr);
        REQUIRE(wheel.expire_one(start + delay) == &deadline);
        REQUIRE_FALSE(deadline.linked());
      }
    }
  }
}

TEST_CASE(
    "a sleeper that follows next_ms wakes for each deadline in its millisecond and not endlessly before") {
  std::mt19937_64 random(7);
  Deadlines wheel(5'000);
  std::array<Deadline, 200> deadlines;
  for (Deadline& deadline : deadlines) wheel.set(deadline, 5'000 + random_delay(random));
  std::size_t expired = 0;
  std::size_t wake_ups = 0;
  while (const auto next = wheel.next_ms()) {
    REQUIRE(++wake_ups < deadlines.size() * 8);
    for (Deadline* const deadline : expire_all(wheel, *next)) {
      REQUIRE(std::max<std::uint64_t>(deadline->due_ms, 5'000) == *next);
      ++expired;
    }
  }
  REQUIRE(expired == deadlines.size());
}

TEST_CASE("the wheel does what a sorted map does, through sets, moves, unlinks and expiries at random") {
  std::mt19937_64 random(20'260'131);
  std::uint64_t now = random() % kFarMs;
  Deadlines wheel(now);
  std::array<Deadline, 64> deadlines;
  Model model;
  for (int step = 0; step < 40'000; ++step) {
    Deadline& deadline = deadlines[random() % deadlines.size()];
    switch (random() % 4) {
      case 0:
      case 1: {
        const std::uint64_t due = now + random_delay(random);
        wheel.set(deadline, due);
        model.set(&deadline, due);
        break;
      }
      case 2:
        deadline.unlink();
        model.unset(&deadline);
        break;
      default: {
        now += random() % 8 == 0 ? random_delay(random) : random() % 100;
        if (const auto next = wheel.next_ms(); next && !model.by_due.empty())
          REQUIRE(*next <= std::max(now, model.by_due.begin()->first));
        std::uint64_t last_due = 0;
        for (Deadline* const due : expire_all(wheel, now)) {
          REQUIRE(due->due_ms >= last_due);
          last_due = due->due_ms;
          const auto first = model.by_due.begin();
          REQUIRE(first != model.by_due.end());
          REQUIRE(first->first == due->due_ms);
          model.unset(due);
        }
        REQUIRE((model.by_due.empty() || model.by_due.begin()->first > now));
      }
    }
    REQUIRE(deadline.linked() == (std::count_if(model.by_due.begin(), model.by_due.end(),
                                                [&](const auto& e) { return e.second == &deadline; }) == 1));
  }
}

TEST_CASE("what is past when it is set comes due at the next expiry") {
  Deadlines wheel(1'000);
  REQUIRE(wheel.expire_one(2'000) == nullptr);
  Deadline deadline;
  wheel.set(deadline, 10);
  REQUIRE(wheel.next_ms() == 2'000);
  REQUIRE(wheel.expire_one(2'000) == &deadline);
}

TEST_CASE("a due time at the end of all time is kept and costs nothing") {
  Deadlines wheel(1'000);
  Deadline never;
  wheel.set(never, UINT64_MAX);
  for (std::uint64_t now = 1'000; now < (std::uint64_t{1} << 41); now = now * 3 / 2) {
    REQUIRE(wheel.expire_one(now) == nullptr);
    REQUIRE(never.linked());
    REQUIRE(wheel.next_ms().value() > now);
  }
}

TEST_CASE("a host that has been up for two years does not hang the wheel") {
  // 64^6 ms: where the sixth digit of the time overflows.
  Deadlines wheel(kFarMs - 100);
  Deadline before;
  Deadline after;
  Deadline long_after;
  wheel.set(before, kFarMs - 1);
  wheel.set(after, kFarMs + 100);
  wheel.set(long_after, kFarMs + 600'000);
  REQUIRE(wheel.next_ms().value() > kFarMs - 100);
  REQUIRE(wheel.expire_one(kFarMs - 2) == nullptr);
  REQUIRE(wheel.expire_one(kFarMs - 1) == &before);
  REQUIRE(wheel.expire_one(kFarMs + 99) == nullptr);
  REQUIRE(wheel.expire_one(kFarMs + 100) == &after);
  REQUIRE(wheel.expire_one(kFarMs + 599'999) == nullptr);
  REQUIRE(wheel.expire_one(kFarMs + 600'000) == &long_after);
}

TEST_CASE("a long jump forward takes out everything that is due, in order") {
  std::mt19937_64 random(3);
  Deadlines wheel(42);
  std::vector<std::unique_ptr<Deadline>> deadlines;
  for (int i = 0; i < 1'000; ++i) {
    deadlines.push_back(std::make_unique<Deadline>());
    wheel.set(*deadlines.back(), 42 + random_delay(random));
  }
  const auto due = expire_all(wheel, kFarMs + 42);
  REQUIRE(due.size() == deadlines.size());
  REQUIRE(std::is_sorted(due.begin(), due.end(),
                         [](const Deadline* a, const Deadline* b) { return a->due_ms < b->due_ms; }));
  REQUIRE_FALSE(wheel.next_ms());
}

TEST_CASE("a deadline that is destroyed takes itself out") {
  Deadlines wheel(0);
  auto deadline = std::make_unique<Deadline>();
  wheel.set(*deadline, 10);
  deadline.reset();
  REQUIRE(wheel.expire_one(1'000) == nullptr);
  REQUIRE_FALSE(wheel.next_ms());
}

TEST_CASE("a deadline that is set again while its round expires comes in the same round if it is due") {
  Deadlines wheel(0);
  Deadline deadline;
  wheel.set(deadline, 5);
  REQUIRE(wheel.expire_one(9) == &deadline);
  wheel.set(deadline, 7);
  REQUIRE(wheel.expire_one(9) == &deadline);
  wheel.set(deadline, 10);
  REQUIRE(wheel.expire_one(9) == nullptr);
}

TEST_CASE("for_each visits all of them once, though the visitor unlinks or destroys what it is given") {
  std::mt19937_64 random(11);
  Deadlines wheel(1'000);
  struct Owned {
    Deadline deadline;
    int visits = 0;
  };
  std::list<Owned> owned;
  for (int i = 0; i < 500; ++i) {
    owned.emplace_back();
    wheel.set(owned.back().deadline, 1'000 + random_delay(random));
  }
  int visits = 0;
  wheel.for_each([&](Deadline& deadline) {
    ++visits;
    const auto at =
        std::find_if(owned.begin(), owned.end(), [&](const Owned& o) { return &o.deadline == &deadline; });
    REQUIRE(++at->visits == 1);
    if (visits % 3 == 0) deadline.unlink();
    if (visits % 3 == 1) owned.erase(at);
  });
  REQUIRE(visits == 500);
  int left = 0;
  wheel.for_each([&](Deadline&) { ++left; });
  REQUIRE(left == 167);
}
