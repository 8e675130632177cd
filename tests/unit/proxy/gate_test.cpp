#include "lb/proxy/gate.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "tests/support/timing.h"

using namespace weir;

namespace {

/// One worker as the gate knows it: it takes places until it is refused, pauses, and goes on when it is
/// woken.
class FakeWorker {
 public:
  FakeWorker(Gate& gate, std::vector<FakeWorker*>& all) : gate_(gate), all_(all) {}

  /// As Listener::accept_one does it.
  bool enter(ListenerLoad& listener) {
    if (try_enter(listener)) return true;
    gate_.wait();
    if (try_enter(listener)) return true;
    paused_.store(true);
    return false;
  }
  void leave(ListenerLoad& listener) {
    gate_.leave(listener);
    wake_if_asked();
  }
  /// Whether it has been woken since it paused.
  bool take_wake() { return wakes_.exchange(0) > 0; }
  bool paused() const { return paused_; }
  void resume() { paused_ = false; }

 private:
  bool try_enter(ListenerLoad& listener) {
    const auto entry = gate_.enter(listener);
    if (entry == Gate::Entry::GaveBack) wake_if_asked();
    return entry == Gate::Entry::Counted;
  }
  void wake_if_asked() {
    if (!gate_.take_waiting()) return;
    for (FakeWorker* const worker : all_) worker->wakes_.fetch_add(1);
  }

  Gate& gate_;
  std::vector<FakeWorker*>& all_;
  std::atomic<int> wakes_{0};
  std::atomic<bool> paused_{false};
};

}  // namespace

TEST_CASE("the gate counts the process and each listener, and says no at either limit") {
  Gate gate(3);
  ListenerLoad a("a", "p", 1);
  ListenerLoad b("b", "p", 1);
  a.max_connections = 2;
  REQUIRE(gate.enter(a) == Gate::Entry::Counted);
  REQUIRE(gate.enter(a) == Gate::Entry::Counted);
  REQUIRE(gate.enter(a) == Gate::Entry::Full);
  REQUIRE(gate.active() == 2);
  REQUIRE(gate.enter(b) == Gate::Entry::Counted);
  REQUIRE(gate.enter(b) == Gate::Entry::Full);
  REQUIRE(a.active == 2);
  REQUIRE(b.active == 1);
  gate.leave(a);
  REQUIRE(gate.enter(b) == Gate::Entry::Counted);
  REQUIRE(gate.active() == 3);
}

TEST_CASE("a limit that is lowered under what is active lets nobody in until enough have left") {
  Gate gate(3);
  ListenerLoad a("a", "p", 1);
  for (int i = 0; i < 3; ++i) REQUIRE(gate.enter(a) == Gate::Entry::Counted);
  gate.set_max(1);
  REQUIRE(gate.enter(a) == Gate::Entry::Full);
  gate.leave(a);
  gate.leave(a);
  REQUIRE(gate.enter(a) == Gate::Entry::Full);
  gate.leave(a);
  REQUIRE(gate.enter(a) == Gate::Entry::Counted);
}

TEST_CASE("whoever waits is told of once") {
  Gate gate(1);
  REQUIRE_FALSE(gate.take_waiting());
  gate.wait();
  gate.wait();
  REQUIRE(gate.take_waiting());
  REQUIRE_FALSE(gate.take_waiting());
}

TEST_CASE("no limit is ever exceeded, however many threads come and go") {
  constexpr std::uint64_t kMax = 3;
  Gate gate(kMax);
  ListenerLoad narrow("a", "p", 1);
  narrow.max_connections = 2;
  ListenerLoad wide("b", "p", 1);
  std::atomic<std::uint64_t> inside{0};
  std::atomic<std::uint64_t> inside_narrow{0};
  std::atomic<bool> exceeded{false};
  const std::size_t rounds = test::scaled(200'000);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      ListenerLoad& listener = i % 2 == 0 ? narrow : wide;
      for (std::size_t round = 0; round < rounds; ++round) {
        if (gate.enter(listener) != Gate::Entry::Counted) continue;
        if (inside.fetch_add(1) >= kMax) exceeded = true;
        if (&listener == &narrow) {
          if (inside_narrow.fetch_add(1) >= 2) exceeded = true;
          inside_narrow.fetch_sub(1);
        }
        inside.fetch_sub(1);
        gate.leave(listener);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  REQUIRE_FALSE(exceeded);
  REQUIRE(gate.active() == 0);
  REQUIRE(narrow.active == 0);
}

TEST_CASE("an attempt that is refused is at no moment seen in the counts") {
  // Two that fail at once would take each other for sessions, and both wait for an end that never comes.
  Gate gate(1);
  ListenerLoad listener("a", "p", 1);
  REQUIRE(gate.enter(listener) == Gate::Entry::Counted);
  std::atomic<bool> done{false};
  std::atomic<bool> let_in{false};
  std::vector<std::thread> refused;
  for (int i = 0; i < 2; ++i)
    refused.emplace_back([&] {
      while (!done)
        if (gate.enter(listener) != Gate::Entry::Full) let_in = true;
    });
  std::uint64_t most = 0;
  for (std::size_t look = 0; look < test::scaled(10'000'000); ++look)
    most = std::max({most, gate.active(), listener.active.load()});
  done = true;
  for (auto& thread : refused) thread.join();
  REQUIRE(most == 1);
  REQUIRE_FALSE(let_in);
}

TEST_CASE("when every place is free, no worker is left paused and unwoken") {
  // The last leaver of each round must have been seen by whoever was refused in it. One place, since a second
  // one would hide a lost wake-up behind the next session's end.
  Gate gate(1);
  std::array<ListenerLoad, 2> listeners{ListenerLoad{"a", "p", 1}, ListenerLoad{"b", "p", 1}};
  std::vector<FakeWorker*> all;
  std::array<FakeWorker, 3> workers{FakeWorker{gate, all}, FakeWorker{gate, all}, FakeWorker{gate, all}};
  for (FakeWorker& worker : workers) all.push_back(&worker);
  const std::size_t rounds = test::scaled(5'000);
  std::atomic<std::size_t> arrived{0};
  std::atomic<std::size_t> done{0};
  std::atomic<std::size_t> lost{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < workers.size(); ++i) {
    threads.emplace_back([&, i] {
      FakeWorker& worker = workers[i];
      ListenerLoad& listener = listeners[i % 2];
      for (std::size_t round = 1; round <= rounds; ++round) {
        worker.resume();
        worker.take_wake();
        arrived.fetch_add(1);
        while (arrived < round * workers.size()) std::this_thread::yield();
        if (worker.enter(listener)) worker.leave(listener);
        done.fetch_add(1);
        while (done < round * workers.size()) std::this_thread::yield();
        // Everybody has left: a pause without a wake-up would last for ever.
        if (worker.paused() && !worker.take_wake()) lost.fetch_add(1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  REQUIRE(lost == 0);
  REQUIRE(gate.active() == 0);
}
