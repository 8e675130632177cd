#include "lb/net/timer.h"

#include <sys/eventfd.h>

#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "lb/base/fd.h"
#include "lb/net/loop.h"
#include "tests/support/timing.h"

using namespace weir;
using test::Clock;

namespace {

std::unique_ptr<Loop> make_loop() {
  auto loop = Loop::create();
  REQUIRE(loop);
  return std::move(*loop);
}

struct Busy final : Watcher {
  void on_events(std::uint32_t) override { ++calls; }
  std::size_t calls = 0;
};

}  // namespace

TEST_CASE("no timer fires before its time") {
  const auto loop = make_loop();
  // The loop never sleeps: a timer that libuv takes for due is called at once.
  const Fd ready(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  Busy busy;
  REQUIRE(loop->watch(ready.get(), busy, events::kReadable));
  std::mt19937 random(5);
  std::size_t left = 200;
  std::chrono::nanoseconds earliest{0};
  Clock::time_point due;
  // Started at any fraction of a millisecond, for libuv's clock counts whole ones.
  std::unique_ptr<Timer> timer;
  const std::function<void()> start = [&] {
    const auto spin_until = Clock::now() + std::chrono::microseconds(random() % 1'000);
    while (Clock::now() < spin_until) {
    }
    const Millis delay(1 + random() % 3);
    due = Clock::now() + delay;
    timer->start(delay);
  };
  timer = std::make_unique<Timer>(*loop, [&] {
    earliest = std::min<std::chrono::nanoseconds>(earliest, Clock::now() - due);
    if (--left == 0) return loop->stop();
    start();
  });
  start();
  loop->run();
  REQUIRE(earliest.count() == 0);
}

TEST_CASE("a timer may be started, stopped and destroyed in its own callback") {
  const auto loop = make_loop();
  int expiries = 0;
  std::unique_ptr<Timer> destroyed;
  std::unique_ptr<Timer> restarted;
  std::unique_ptr<Timer> stopped;
  Timer never(*loop, [&] { FAIL("was stopped by another timer's callback"); });
  never.start(Millis(3));
  destroyed = std::make_unique<Timer>(*loop, [&] {
    never.stop();
    destroyed.reset();
  });
  destroyed->start(Millis(1));
  stopped = std::make_unique<Timer>(*loop, [&] { stopped->stop(); });
  stopped->start(Millis(1));
  restarted = std::make_unique<Timer>(*loop, [&] {
    if (++expiries < 5) return restarted->start(Millis(2));
    REQUIRE_FALSE(destroyed);
    REQUIRE_FALSE(restarted->active());
    restarted.reset();
    loop->stop();
  });
  restarted->start(Millis(1));
  loop->run();
  REQUIRE(expiries == 5);
}

TEST_CASE("a timer that is started again counts from the second start") {
  const auto loop = make_loop();
  int expiries = 0;
  Timer timer(*loop, [&] { ++expiries; });
  timer.start(Millis(1));
  timer.start(Millis(40));
  const auto start = Clock::now();
  Timer end(*loop, [&] {
    if (expiries > 0) loop->stop();
    end.start(Millis(1));
  });
  end.start(Millis(1));
  loop->run();
  REQUIRE(expiries == 1);
  REQUIRE(Clock::now() - start >= std::chrono::milliseconds(40));
}

TEST_CASE("a timer comes due though a descriptor keeps the loop busy without a pause") {
  const auto loop = make_loop();
  const Fd busy(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  Busy watcher;
  REQUIRE(loop->watch(busy.get(), watcher, events::kReadable));
  Timer timer(*loop, [&] { loop->stop(); });
  timer.start(Millis(20));
  loop->run();
  REQUIRE(watcher.calls > 1);
}

TEST_CASE("timers that are destroyed while they run leave nothing behind") {
  auto loop = make_loop();
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < 10; ++i) {
    timers.push_back(std::make_unique<Timer>(*loop, [] { FAIL("it was destroyed"); }));
    timers.back()->start(Millis(i));
  }
  timers.clear();
  Timer end(*loop, [&] { loop->stop(); });
  end.start(Millis(20));
  loop->run();
}

TEST_CASE("timers that start each other without a delay come once in a turn, behind the descriptors") {
  const auto loop = make_loop();
  const Fd ready(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  Busy watcher;
  REQUIRE(loop->watch(ready.get(), watcher, events::kReadable));
  std::size_t left = 100;
  std::size_t unseen = 0;
  std::size_t calls = 0;
  std::unique_ptr<Timer> other;
  Timer one(*loop, [&] {
    unseen += watcher.calls == calls ? 1 : 0;
    calls = watcher.calls;
    if (--left == 0) return loop->stop();
    other->start(Millis(0));
  });
  other = std::make_unique<Timer>(*loop, [&] { one.start(Millis(0)); });
  one.start(Millis(0));
  loop->run();
  REQUIRE(unseen == 0);
}

TEST_CASE("a timer without a delay may be stopped, put off and destroyed") {
  const auto loop = make_loop();
  Timer stopped(*loop, [] { FAIL("it was stopped"); });
  stopped.start(Millis(0));
  stopped.stop();
  REQUIRE_FALSE(stopped.active());
  auto destroyed = std::make_unique<Timer>(*loop, [] { FAIL("it was destroyed"); });
  destroyed->start(Millis(0));
  destroyed.reset();
  const auto start = Clock::now();
  Timer put_off(*loop, [&] { loop->stop(); });
  put_off.start(Millis(0));
  put_off.start(Millis(20));
  loop->run();
  REQUIRE(Clock::now() - start >= std::chrono::milliseconds(20));
}
