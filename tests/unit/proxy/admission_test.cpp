#include "lb/proxy/admission.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "tests/support/timing.h"

using namespace weir;

namespace {

/// One worker as the admission knows it: it takes places until it is refused, pauses, and goes on when it is
/// woken.
class FakeWorker {
 public:
  explicit FakeWorker(Admission& admission) : admission_(admission) {}

  /// As Listener::accept_one does it.
  tl::expected<Permit, Refusal> admit(ListenerLoad& listener) {
    auto permit = admission_.admit(listener);
    if (permit) return permit;
    admission_.wait();
    permit = admission_.admit(listener);
    if (!permit) paused_.store(true);
    return permit;
  }
  void wake() { wakes_.fetch_add(1); }
  /// Whether it has been woken since it paused.
  bool take_wake() { return wakes_.exchange(0) > 0; }
  bool paused() const { return paused_; }
  void resume() { paused_ = false; }

 private:
  Admission& admission_;
  std::atomic<int> wakes_{0};
  std::atomic<bool> paused_{false};
};

}  // namespace

TEST_CASE("the process and each listener are counted, and either limit says no") {
  Descriptors descriptors;
  Admission admission(3, descriptors);
  ListenerLoad a("a", "p", 1);
  ListenerLoad b("b", "p", 1);
  a.max_connections = 2;
  auto first = admission.admit(a);
  auto second = admission.admit(a);
  REQUIRE((first && second));
  REQUIRE(admission.admit(a).error() == Refusal::Listener);
  REQUIRE(admission.active() == 2);
  auto third = admission.admit(b);
  REQUIRE(third);
  REQUIRE(admission.admit(b).error() == Refusal::Process);
  REQUIRE(a.active == 2);
  REQUIRE(b.active == 1);
  first->give_back();
  REQUIRE_FALSE(*first);
  REQUIRE(admission.admit(b));
  REQUIRE(admission.active() == 2);
}

TEST_CASE("a permit gives everything back once, whoever has it in the end") {
  Descriptors descriptors;
  descriptors.set(20, 10);
  Admission admission(3, descriptors);
  ListenerLoad listener("a", "p", 1);
  {
    auto permit = admission.admit(listener);
    REQUIRE(permit);
    Permit moved = std::move(*permit);
    Permit other;
    other = std::move(moved);
    CHECK(&other.listener() == &listener);
    CHECK(descriptors.taken() == 2);
    CHECK(admission.active() == 1);
  }
  CHECK(descriptors.taken() == 0);
  CHECK(admission.active() == 0);
  CHECK(listener.active == 0);
}

TEST_CASE("without descriptors nobody comes in, not even beyond the limits, and nothing stays counted") {
  Descriptors descriptors;
  descriptors.set(15, 10);  // two sessions and one that does not suffice
  Admission admission(10, descriptors);
  ListenerLoad listener("a", "p", 1);
  listener.max_connections = 1;
  auto first = admission.admit(listener);
  REQUIRE(first);
  REQUIRE(admission.admit(listener).error() == Refusal::Listener);
  auto second = admission.admit_beyond_limits(listener);
  REQUIRE(second);
  REQUIRE(admission.admit_beyond_limits(listener).error() == Refusal::Descriptors);
  REQUIRE(listener.active == 2);
  REQUIRE(admission.active() == 2);
  second->give_back();
  REQUIRE(admission.admit_beyond_limits(listener));
}

TEST_CASE("who is in and waits for a descriptor comes before newcomers") {
  Descriptors descriptors;
  Admission admission(10, descriptors);
  ListenerLoad listener("a", "p", 1);
  admission.descriptor_awaited(true);
  CHECK(admission.admit(listener).error() == Refusal::Descriptors);
  CHECK(admission.admit_beyond_limits(listener).error() == Refusal::Descriptors);
  admission.descriptor_awaited(false);
  CHECK(admission.admit(listener));
}

TEST_CASE("pipes leave an eighth of the descriptors to sessions, and a lowered limit holds for all") {
  Descriptors descriptors;
  descriptors.set(90, 10);
  std::size_t pipes = 0;
  while (descriptors.take_for_pipe()) ++pipes;
  CHECK(pipes == 35);
  std::size_t sessions = 0;
  while (descriptors.take_for_session()) ++sessions;
  CHECK(sessions == 5);
  descriptors.set(50, 10);
  descriptors.give(40);
  CHECK_FALSE(descriptors.take_for_session());
  descriptors.give(2);
  CHECK(descriptors.take_for_session());
  descriptors.set(5, 10);
  CHECK_FALSE(descriptors.take_for_session());
}

TEST_CASE("a limit that is lowered under what is active lets nobody in until enough have left") {
  Descriptors descriptors;
  Admission admission(3, descriptors);
  ListenerLoad a("a", "p", 1);
  std::vector<Permit> permits;
  for (int i = 0; i < 3; ++i) permits.push_back(std::move(*admission.admit(a)));
  admission.set_max(1);
  REQUIRE_FALSE(admission.admit(a));
  permits.pop_back();
  permits.pop_back();
  REQUIRE_FALSE(admission.admit(a));
  permits.pop_back();
  REQUIRE(admission.admit(a));
}

TEST_CASE("whoever waits is woken once, and nobody after the end") {
  Descriptors descriptors;
  Admission admission(1, descriptors);
  int woken = 0;
  admission.wake_by([&] { ++woken; });
  admission.wake_waiting();
  REQUIRE(woken == 0);
  admission.wait();
  admission.wait();
  admission.wake_waiting();
  admission.wake_waiting();
  REQUIRE(woken == 1);
  admission.wait();
  admission.close();
  admission.wake_waiting();
  REQUIRE(woken == 1);
}

TEST_CASE("no limit is ever exceeded, however many threads come and go") {
  constexpr std::uint64_t kMax = 3;
  Descriptors descriptors;
  Admission admission(kMax, descriptors);
  admission.wake_by([] {});
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
        const auto permit = admission.admit(listener);
        if (!permit) continue;
        if (inside.fetch_add(1) >= kMax) exceeded = true;
        if (&listener == &narrow) {
          if (inside_narrow.fetch_add(1) >= 2) exceeded = true;
          inside_narrow.fetch_sub(1);
        }
        inside.fetch_sub(1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  REQUIRE_FALSE(exceeded);
  REQUIRE(admission.active() == 0);
  REQUIRE(narrow.active == 0);
  REQUIRE(descriptors.taken() == 0);
}

TEST_CASE("an attempt that is refused is at no moment seen in the counts") {
  // Two that fail at once would take each other for sessions, and both wait for an end that never comes.
  Descriptors descriptors;
  Admission admission(1, descriptors);
  ListenerLoad listener("a", "p", 1);
  const auto only = admission.admit(listener);
  REQUIRE(only);
  std::atomic<bool> done{false};
  std::atomic<bool> let_in{false};
  std::vector<std::thread> refused;
  for (int i = 0; i < 2; ++i)
    refused.emplace_back([&] {
      while (!done)
        if (admission.admit(listener)) let_in = true;
    });
  std::uint64_t most = 0;
  for (std::size_t look = 0; look < test::scaled(10'000'000); ++look)
    most = std::max({most, admission.active(), listener.active.load()});
  done = true;
  for (auto& thread : refused) thread.join();
  REQUIRE(most == 1);
  REQUIRE_FALSE(let_in);
}

TEST_CASE("when everything has been given back, no worker is left paused and unwoken") {
  // The last leaver of each round must have been seen by whoever was refused in it. One place, since a second
  // one would hide a lost wake-up behind the next session's end.
  const bool by_descriptors = GENERATE(false, true);
  Descriptors descriptors;
  if (by_descriptors) descriptors.set(12, 10);
  Admission admission(by_descriptors ? 100 : 1, descriptors);
  std::array<ListenerLoad, 2> listeners{ListenerLoad{"a", "p", 1}, ListenerLoad{"b", "p", 1}};
  std::array<FakeWorker, 3> workers{FakeWorker{admission}, FakeWorker{admission}, FakeWorker{admission}};
  admission.wake_by([&] {
    for (FakeWorker& worker : workers) worker.wake();
  });
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
        worker.admit(listener);
        done.fetch_add(1);
        while (done < round * workers.size()) std::this_thread::yield();
        // Everybody has left: a pause without a wake-up would last for ever.
        if (worker.paused() && !worker.take_wake()) lost.fetch_add(1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  REQUIRE(lost == 0);
  REQUIRE(admission.active() == 0);
}

TEST_CASE("who is refused does not wake itself, nor another who is refused") {
  Descriptors descriptors;
  const bool by_descriptors = GENERATE(true, false);
  if (by_descriptors) descriptors.set(12, 10);
  Admission admission(by_descriptors ? 100 : 1, descriptors);
  FakeWorker one(admission), two(admission);
  admission.wake_by([&] {
    one.wake();
    two.wake();
  });
  ListenerLoad listener("a", "p", 1);
  auto held = one.admit(listener);
  REQUIRE(held);
  for (int round = 0; round < 3; ++round) {
    CHECK_FALSE(one.admit(listener));
    CHECK_FALSE(two.admit(listener));
  }
  CHECK_FALSE(one.take_wake());
  held->give_back();
  CHECK(one.take_wake());
}

TEST_CASE("a permit that became no session wakes those only who were refused meanwhile") {
  Descriptors descriptors;
  Admission admission(1, descriptors);
  FakeWorker other(admission);
  admission.wake_by([&] { other.wake(); });
  ListenerLoad listener("a", "p", 1);
  admission.wait();
  const std::uint64_t waits = admission.waits();
  auto unused = admission.admit(listener);
  REQUIRE(unused);
  SECTION("nobody was") {
    unused->give_back_unused(waits);
    CHECK_FALSE(other.take_wake());
  }
  SECTION("one was") {
    CHECK_FALSE(other.admit(listener));
    unused->give_back_unused(waits);
    CHECK(other.take_wake());
  }
  CHECK(admission.active() == 0);
  CHECK(listener.active == 0);
}
