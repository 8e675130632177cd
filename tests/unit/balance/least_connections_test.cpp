#include <catch2/catch.hpp>
#include <thread>

#include "tests/unit/balance/group.h"

using namespace weir;

namespace {

/// Sessions that stay: picked one after another, each held by its Lease.
std::string hold(Group& group, int count, std::vector<Lease>& leases) {
  std::string names;
  for (int i = 0; i < count; ++i) {
    const Backend* backend = group.pool->pick({});
    leases.push_back(Lease::take(backend->load));
    names += backend->name;
  }
  return names;
}

}  // namespace

TEST_CASE("least connections: ten short sessions one after another split 5/5") {
  Group group("least_connections", {{"a", 1}, {"b", 1}});
  group.build();
  CHECK(group.picks(10) == "ababababab");
}

TEST_CASE("least connections: a backend with sessions gets none while another has fewer") {
  Group group("least_connections", {{"a", 1}, {"b", 1}});
  group.build();
  std::vector<Lease> held;
  held.push_back(Lease::take(group["a"].load));
  held.push_back(Lease::take(group["a"].load));
  CHECK(group.picks(10) == "bbbbbbbbbb");
}

TEST_CASE("least connections: held sessions spread by weight") {
  Group group("least_connections", {{"a", 5}, {"b", 1}, {"c", 2}});
  group.build();
  std::vector<Lease> held;
  hold(group, 80, held);
  CHECK(group["a"].load->active == 50);
  CHECK(group["b"].load->active == 10);
  CHECK(group["c"].load->active == 20);
}

TEST_CASE("least connections: ties follow the weighted sequence, also when only some are tied") {
  Group group("least_connections", {{"a", 5}, {"b", 1}, {"c", 1}});
  group.build();
  CHECK(group.picks(14) == "aabacaaaabacaa");
  Group equal("least_connections", {{"a", 1}, {"b", 1}, {"c", 1}});
  equal.build();
  const Lease held = Lease::take(equal["b"].load);
  CHECK(equal.picks(6) == "acacac");
}

TEST_CASE("least connections: a tie between backends whose turns are far off is still fair") {
  Group group("least_connections");
  for (int i = 0; i < 20; ++i) group.add(fmt::format("h{}", i), 256);
  group.add("x", 1);
  group.add("y", 1);
  group.add("z", 255);  // so that the weights have no common divisor
  group.build();
  std::vector<Lease> held;
  for (Backend& backend : group.backends) {
    if (backend.weight > 1) held.push_back(Lease::take(backend.load));
  }
  const auto counts = group.counts(1000);
  CHECK(counts.at("x") + counts.at("y") == 1000);
  CHECK(counts.at("x") > 300);
  CHECK(counts.at("y") > 300);
}

TEST_CASE("least connections: after many sessions have ended the next ten split 5/5") {
  Group group("least_connections", {{"a", 1}, {"b", 1}});
  group.build();
  for (int round = 1; round <= 37; ++round) {
    std::vector<Lease> held;
    hold(group, round, held);
  }
  CHECK(group["a"].load->active == 0);
  CHECK(group["b"].load->active == 0);
  const auto counts = group.counts(10);
  CHECK(counts.at("a") == 5);
  CHECK(counts.at("b") == 5);
}

TEST_CASE("least connections: ties are exact over threads that pick at once") {
  Group group("least_connections", {{"a", 1}, {"b", 1}, {"c", 1}});
  const Pool& pool = group.build();
  constexpr int kThreads = 3;
  constexpr int kPicks = 3000;
  std::atomic<int> counts[3] = {};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kPicks; ++i) {
          counts[static_cast<std::size_t>(pool.pick({}) - pool.backends().data())].fetch_add(1);
        }
      });
    }
  }
  // A pick whose fourth attempt to move the cursor was overtaken too shares its turn: hardly ever.
  for (const auto& count : counts) CHECK(std::abs(count - kThreads * kPicks / 3) < 100);
}

TEST_CASE("least connections: leases on many threads leave no count behind") {
  Group group("least_connections", {{"a", 1}, {"b", 1}});
  const Pool& pool = group.build();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&pool] {
        for (int i = 0; i < 2000; ++i) const Lease lease = Lease::take(pool.pick({})->load);
      });
    }
  }
  CHECK(group["a"].load->active == 0);
  CHECK(group["b"].load->active == 0);
}

TEST_CASE("least connections: slow start scales the weight") {
  Group group("least_connections", {{"a", 1}, {"b", 1}});
  group["b"].share_percent = 25;
  group.build();
  std::vector<Lease> held;
  hold(group, 100, held);
  CHECK(group["a"].load->active == 80);
  CHECK(group["b"].load->active == 20);
}

TEST_CASE("least connections: a change carries the order of ties on") {
  Group group("least_connections", {{"a", 1}, {"b", 1}, {"c", 1}});
  group.build();
  CHECK(group.picks(1) == "a");
  group.set("a", Health::Down);
  CHECK(group.picks(1) == "b");
  group.set("a", Health::Up);
  CHECK(group.picks(3) == "cab");
}

TEST_CASE("explain of least connections names the least busy and does not take the turn") {
  Group group("least_connections", {{"a", 2}, {"b", 1}, {"c", 1}});
  const Pool& pool = group.build();
  std::vector<Lease> held;
  held.push_back(Lease::take(group["a"].load));
  held.push_back(Lease::take(group["b"].load));
  held.push_back(Lease::take(group["c"].load));
  held.push_back(Lease::take(group["c"].load));
  std::vector<std::string> because;
  CHECK(pool.explain({}, because).backend->name == "a");
  CHECK(because == std::vector<std::string>{"least_connections: a has 1 session for weight 2",
                                            "least_connections: b has 1 session for weight 1",
                                            "least_connections: c has 2 sessions for weight 1"});
  held.clear();
  because.clear();
  CHECK(pool.explain({}, because).backend->name == "a");
  CHECK(because.back() == "3 are equally busy: a is next in the round-robin sequence");
  CHECK(group.picks(4) == "abca");
}
