#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <future>
#include <thread>
#include <vector>

#include "lb/base/fd.h"
#include "lb/net/loop.h"
#include "tests/support/timing.h"

using namespace weir;
using test::kPatience;

namespace {

std::unique_ptr<Loop> make_loop() {
  auto loop = Loop::create();
  REQUIRE(loop);
  return std::move(*loop);
}

/// A loop on a thread of its own, stopped and joined at the end.
class RunningLoop {
 public:
  RunningLoop() : loop_(make_loop()), thread_([this] { loop_->run(); }) {}
  ~RunningLoop() {
    loop_->stop();
    thread_.join();
  }
  RunningLoop(const RunningLoop&) = delete;
  RunningLoop& operator=(const RunningLoop&) = delete;
  Loop* operator->() { return loop_.get(); }

 private:
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

class CountingWatcher final : public Watcher {
 public:
  explicit CountingWatcher(std::function<void()> action) : action_(std::move(action)) {}
  void on_events(std::uint32_t) override {
    ++calls;
    action_();
  }
  int calls = 0;

 private:
  std::function<void()> action_;
};

Fd ready_eventfd() {
  return Fd(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
}

}  // namespace

TEST_CASE("posts of many threads run once each, in the order of each thread") {
  constexpr int kThreads = 4;
  const int posts = static_cast<int>(test::scaled(20'000));
  std::array<std::vector<int>, kThreads> seen;  // the loop's thread only
  {
    RunningLoop loop;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < posts; ++i)
          loop->post([&seen, t, i] { seen[static_cast<std::size_t>(t)].push_back(i); });
      });
    for (auto& thread : threads) thread.join();
  }
  for (const auto& of_thread : seen) {
    REQUIRE(of_thread.size() == static_cast<std::size_t>(posts));
    REQUIRE(std::is_sorted(of_thread.begin(), of_thread.end()));
  }
}

TEST_CASE("a post to a sleeping loop always wakes it") {
  RunningLoop loop;
  std::atomic<std::size_t> ran{0};
  const std::size_t posts = test::scaled(5'000);
  for (std::size_t i = 1; i <= posts; ++i) {
    loop->post([&] { ran.fetch_add(1); });
    const auto end = test::Clock::now() + kPatience;
    while (ran < i) {
      REQUIRE(test::Clock::now() < end);
      std::this_thread::yield();
    }
  }
}

TEST_CASE("two posters at once: neither post stays behind") {
  RunningLoop loop;
  std::atomic<std::size_t> ran{0};
  std::atomic<std::size_t> round{0};
  std::atomic<bool> stuck{false};
  const std::size_t rounds = test::scaled(5'000);
  const auto poster = [&](bool leads) {
    for (std::size_t i = 1; i <= rounds && !stuck; ++i) {
      if (leads)
        round = i;
      else
        while (round < i && !stuck) std::this_thread::yield();
      loop->post([&] { ran.fetch_add(1); });
      const auto end = test::Clock::now() + kPatience;
      while (ran < 2 * i && !stuck) {
        if (test::Clock::now() > end) stuck = true;
        std::this_thread::yield();
      }
    }
  };
  std::thread other([&] { poster(false); });
  poster(true);
  other.join();
  REQUIRE_FALSE(stuck);
}

TEST_CASE("posts that were made before stop still run, later ones are destroyed with the loop") {
  auto loop = make_loop();
  int ran = 0;
  loop->post([&] { ++ran; });
  loop->stop();
  loop->post([&] { ++ran; });
  loop->run();
  REQUIRE(ran >= 1);
  auto held = std::make_shared<int>(0);
  loop->post([held] { ++*held; });
  REQUIRE(held.use_count() == 2);
  loop.reset();
  REQUIRE(held.use_count() == 1);
  REQUIRE(*held == 0);
}

TEST_CASE("a task that posts itself again and again neither starves descriptors nor outlives stop") {
  auto loop = make_loop();
  const Fd fd = ready_eventfd();
  std::function<void()> again = [&] { loop->post(again); };
  CountingWatcher watcher([&] { loop->stop(); });
  REQUIRE(loop->watch(fd.get(), watcher, events::kReadable));
  loop->post(again);
  auto finished = std::async(std::launch::async, [&] { loop->run(); });
  REQUIRE(finished.wait_for(kPatience) == std::future_status::ready);
  REQUIRE(watcher.calls >= 1);
}

TEST_CASE("a watcher whose descriptor is taken away within the batch hears no more of the next batches") {
  auto loop = make_loop();
  Fd first = ready_eventfd();
  Fd second = ready_eventfd();
  // Whichever comes first silences the other: at most the event already in hand may still come.
  CountingWatcher* other_of_first = nullptr;
  CountingWatcher a([&] {
    loop->unwatch(first.get());
    second.reset();
  });
  CountingWatcher b([&] {
    loop->unwatch(second.get());
    first.reset();
  });
  other_of_first = &b;
  REQUIRE(loop->watch(first.get(), a, events::kReadable));
  REQUIRE(loop->watch(second.get(), b, events::kReadable));
  int turns = 0;
  struct Turn final : LoopTurn {
    Millis on_turn_end() override { return ++*turns > 5 ? (loop->stop(), Millis(0)) : Millis(0); }
    int* turns = nullptr;
    Loop* loop = nullptr;
  } turn;
  turn.turns = &turns;
  turn.loop = loop.get();
  loop->set_turn(&turn);
  loop->run();
  REQUIRE(a.calls <= 1);
  REQUIRE(other_of_first->calls <= 1);
  REQUIRE(a.calls + b.calls >= 1);
}

TEST_CASE("a turn decides how long the loop sleeps") {
  auto loop = make_loop();
  struct Turn final : LoopTurn {
    Millis on_turn_end() override {
      const auto now = test::Clock::now();
      // Before the first sleep libuv has things of its own to flush.
      if (turns > 1) waited = std::min(waited, now - last);
      last = now;
      if (++turns == 4) loop->stop();
      return Millis(20);
    }
    Loop* loop = nullptr;
    int turns = 0;
    test::Clock::time_point last;
    test::Clock::duration waited = std::chrono::hours(1);
  } turn;
  turn.loop = loop.get();
  loop->set_turn(&turn);
  loop->run();
  REQUIRE(turn.turns == 4);
  REQUIRE(turn.waited >= std::chrono::milliseconds(20));
}
