#include "lb/proxy/wait_queue.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

constexpr WaitKey kPort{WaitFor::SourcePort, 7};
constexpr WaitKey kBacklog{WaitFor::UnixBacklog, 7};

Waiter waiter(std::int64_t accepted_ns, std::uint32_t worker = 1, std::uint64_t session = 1) {
  return {accepted_ns, worker, session};
}

}  // namespace

TEST_CASE("who was accepted first is called first, on whichever worker and in whatever order they came") {
  WaitQueue queue;
  queue.add(kPort, waiter(30, 1), 0);
  queue.add(kPort, waiter(10, 2), 0);
  queue.add(kPort, waiter(20, 1), 0);
  queue.wake(kPort, 0);
  std::vector<std::int64_t> order;
  while (const auto call = queue.next(0)) {
    order.push_back(call->waiter.accepted_ns);
    queue.succeeded(call->key, 0);
  }
  CHECK(order == std::vector<std::int64_t>{10, 20, 30});
  CHECK(queue.empty());
}

TEST_CASE("one is called at a time, and a try that fails goes back to the first place after a longer pause") {
  WaitQueue queue;
  queue.add(kPort, waiter(10), 0);
  queue.add(kPort, waiter(20), 0);
  CHECK_FALSE(queue.next(9));
  CHECK(queue.due_ms() == 10u);
  std::uint64_t now = 10;
  for (const std::uint64_t pause : {10u, 20u, 40u, 80u, 100u, 100u}) {
    const auto call = queue.next(now);
    REQUIRE(call);
    CHECK(call->waiter.accepted_ns == 10);
    CHECK_FALSE(queue.next(now + 1000));
    CHECK_FALSE(queue.due_ms());
    queue.failed(call->key, call->waiter, false, now);
    CHECK(queue.due_ms() == now + pause);
    now += pause;
  }
  const auto call = queue.next(now);
  REQUIRE(call);
  queue.succeeded(call->key, now);
  CHECK(queue.next(now)->waiter.accepted_ns == 20);
}

TEST_CASE("what becomes free while a try is under way is tried for again at once") {
  WaitQueue queue;
  queue.add(kPort, waiter(10), 0);
  const auto call = queue.next(10);
  REQUIRE(call);
  queue.wake(kPort, 11);
  queue.failed(kPort, call->waiter, false, 12);
  CHECK(queue.next(12));
}

TEST_CASE("who leaves is not called, and a call that finds nobody passes to the next") {
  WaitQueue queue;
  queue.add(kPort, waiter(10), 0);
  queue.add(kPort, waiter(20), 0);
  queue.add(kPort, waiter(30), 0);
  queue.withdraw(kPort, waiter(10));
  const auto call = queue.next(10);
  REQUIRE(call);
  CHECK(call->waiter.accepted_ns == 20);
  queue.withdraw(kPort, waiter(20));  // too late: its worker answers the call
  CHECK_FALSE(queue.next(10));
  queue.returned(kPort, 10);
  CHECK(queue.next(10)->waiter.accepted_ns == 30);
}

TEST_CASE("those who wait for different things do not wait for each other") {
  WaitQueue queue;
  queue.add(kPort, waiter(10), 0);
  queue.add(kBacklog, waiter(20), 0);
  queue.wake(kBacklog, 0);
  CHECK(queue.next(0)->key == kBacklog);
  CHECK_FALSE(queue.next(0));
  queue.withdraw(kBacklog, waiter(99));
  queue.withdraw({WaitFor::Descriptor, 0}, waiter(99));
  queue.wake({WaitFor::Descriptor, 0}, 0);
  queue.withdraw(kPort, waiter(10));
  queue.succeeded(kBacklog, 0);
  CHECK(queue.empty());
}

TEST_CASE("one for whom what there is will not do lets the next one try, and stays the first") {
  constexpr WaitKey kRoom{WaitFor::BackendSlot, 3};
  WaitQueue queue;
  for (const std::int64_t accepted : {10, 20, 30}) queue.add(kRoom, waiter(accepted), 0);
  queue.wake(kRoom, 5);
  auto call = queue.next(5);
  REQUIRE(call->waiter.accepted_ns == 10);
  queue.failed(kRoom, call->waiter, true, 5);
  call = queue.next(5);
  REQUIRE(call->waiter.accepted_ns == 20);
  queue.succeeded(kRoom, 5);
  call = queue.next(5);
  REQUIRE(call->waiter.accepted_ns == 10);
  queue.failed(kRoom, call->waiter, true, 5);
  call = queue.next(5);
  REQUIRE(call->waiter.accepted_ns == 30);
  queue.failed(kRoom, call->waiter, true, 5);
  // All have been asked.
  CHECK_FALSE(queue.next(5));
  CHECK(queue.due_ms() > 5u);
  queue.wake(kRoom, 6);
  CHECK(queue.next(6)->waiter.accepted_ns == 10);
}
