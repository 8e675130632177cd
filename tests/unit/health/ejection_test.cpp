#include "health/ejection.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

/// An Ejection with a clock to tick and the workers' count.
struct Bench {
  explicit Bench(const Ejection::Limits& limits = {}) : ejection(limits) {}

  Ejection ejection;
  nanoseconds now{1h};
  std::uint32_t failures = 0;

  std::optional<Ejection::Change> fail() { return ejection.connects(++failures, now); }
  std::optional<Ejection::Change> work() { return ejection.connects(failures = 0, now); }
  void eject() {
    while (!fail()) {
    }
  }
  std::optional<Ejection::Change> wait_until_due() {
    now = ejection.due().value();
    return ejection.expire(failures, now);
  }
};

}  // namespace

TEST_CASE("an unprobed backend goes out at the third failed connect in a row") {
  Bench bench;
  CHECK_FALSE(bench.fail());
  CHECK_FALSE(bench.fail());
  CHECK_FALSE(bench.work());
  CHECK_FALSE(bench.fail());
  CHECK_FALSE(bench.fail());
  const auto change = bench.fail();
  REQUIRE(change);
  CHECK(change->health == Health::Down);
  CHECK(change->reason == "connect failed 3 times in a row: ejected for 1s");
  CHECK(bench.ejection.due() == bench.now + 1s);
}

TEST_CASE("an ejected backend comes back for one session when its time is over") {
  Bench bench;
  bench.eject();
  bench.now += 999ms;
  CHECK_FALSE(bench.ejection.expire(bench.failures, bench.now));
  bench.now += 1ms;
  const auto change = bench.ejection.expire(bench.failures, bench.now);
  REQUIRE(change);
  CHECK(change->health == Health::Up);
  CHECK(change->on_trial);
  CHECK_FALSE(bench.ejection.due());
}

TEST_CASE("each failed trial doubles the time out of rotation, up to 30 s") {
  Bench bench;
  bench.eject();
  for (const Millis expected : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
    CHECK(bench.ejection.due().value() - bench.now == expected);
    REQUIRE(bench.wait_until_due());
    const auto change = bench.fail();
    REQUIRE(change);
    CHECK(change->health == Health::Down);
  }
}

TEST_CASE("a trial that works brings the backend back, and its next ejection is twice as long") {
  Bench bench;
  bench.eject();
  bench.wait_until_due();
  const auto change = bench.work();
  REQUIRE(change);
  CHECK(change->health == Health::Up);
  CHECK_FALSE(change->on_trial);
  bench.now += 59s;
  bench.eject();
  CHECK(bench.ejection.due() == bench.now + 2s);
}

TEST_CASE("a minute without a failure makes the next ejection as short as the first") {
  Bench bench;
  bench.eject();
  bench.wait_until_due();
  bench.fail();
  CHECK(bench.ejection.due() == bench.now + 2s);
  bench.wait_until_due();
  bench.work();
  bench.now += 1min;
  bench.fail();
  bench.now += 30s;  // no minute of quiet between these: one series
  bench.fail();
  bench.now += 30s;
  bench.fail();
  CHECK(bench.ejection.due() == bench.now + 1s);
}

TEST_CASE("time in which it is out is no minute without a failure") {
  Bench bench({.after = 3, .first = 2min, .longest = 10min});
  bench.eject();
  for (const Millis expected : {2min, 4min, 8min, 10min, 10min}) {
    CHECK(bench.ejection.due().value() - bench.now == expected);
    REQUIRE(bench.wait_until_due());
    REQUIRE(bench.fail());
  }
}

TEST_CASE("how many failures eject, and for how long, is configured") {
  Bench bench({.after = 1, .first = 100ms, .longest = 150ms});
  const auto change = bench.fail();
  REQUIRE(change);
  CHECK(change->reason == "connect failed 1 time in a row: ejected for 100ms");
  REQUIRE(bench.wait_until_due());
  REQUIRE(bench.fail());
  CHECK(bench.ejection.due() == bench.now + 150ms);
}

TEST_CASE("with eject_after = 0 nothing is ejected") {
  Bench bench({.after = 0});
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(bench.fail());
  CHECK(bench.ejection.in_rotation());
}

TEST_CASE("a backend stays on trial until somebody tries it") {
  Bench bench;
  bench.eject();
  bench.wait_until_due();
  bench.now += 1h;
  CHECK_FALSE(bench.ejection.connects(bench.failures, bench.now));
  CHECK(bench.ejection.on_trial());
}

TEST_CASE("while it is out more failures do not prolong it, and a connect that works ends it") {
  Bench bench;
  bench.eject();
  const auto due = bench.ejection.due();
  bench.now += 500ms;
  CHECK_FALSE(bench.fail());
  CHECK(bench.ejection.due() == due);
  SECTION("at once") {
    const auto change = bench.work();
    REQUIRE(change);
    CHECK(change->health == Health::Up);
    CHECK_FALSE(change->on_trial);
    CHECK_FALSE(bench.ejection.due());
  }
  SECTION("even when it is seen late") {
    bench.failures = 1;  // it worked, and failed once since
    const auto change = bench.wait_until_due();
    REQUIRE(change);
    CHECK(change->health == Health::Up);
    CHECK_FALSE(change->on_trial);
  }
}

TEST_CASE("a trial that worked before the next connect failed still counts as worked") {
  Bench bench;
  bench.eject();
  bench.wait_until_due();
  const auto change = bench.ejection.connects(bench.failures = 1, bench.now);
  REQUIRE(change);
  CHECK(change->health == Health::Up);
  CHECK_FALSE(change->on_trial);
}

TEST_CASE("one that was out before begins out, and is tried when its time is over") {
  Bench bench;
  const auto change = bench.ejection.begin_out(bench.now);
  CHECK(change.health == Health::Down);
  CHECK(change.reason == "was ejected before: ejected for 1s");
  REQUIRE(bench.wait_until_due());
  CHECK(bench.ejection.on_trial());
}
