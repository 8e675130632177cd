// least_connections where there are too many backends to read all their counters at each pick: the same rule
// as with few, pick by pick.

#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "tests/unit/balance/group.h"

using namespace weir;

namespace {

Group many(std::uint32_t count, std::span<const std::uint32_t> weights) {
  Group group("least_connections");
  for (std::uint32_t i = 0; i < count; ++i) group.add(fmt::format("b{}", i), weights[i % weights.size()]);
  return group;
}

bool is_less(const Backend& a, const Backend& b) {
  const auto cost = [](const Backend& one, const Backend& other) {
    return std::uint64_t{one.load->active} * other.weight * other.share_percent;
  };
  return cost(a, b) < cost(b, a);
}

/// Nobody who may be picked has fewer sessions for its weight than `chosen`.
bool is_least(const Pool& pool, const Backend& chosen, std::span<const BackendId> tried) {
  return std::ranges::none_of(pool.backends(), [&](const Backend& other) {
    return other.eligible() && std::ranges::find(tried, other.id()) == tried.end() && is_less(other, chosen);
  });
}

std::vector<BackendId> some_of(const Pool& pool, std::size_t count, std::mt19937& random) {
  std::vector<BackendId> ids;
  while (ids.size() < count) ids.push_back(pool.backends()[random() % pool.backends().size()].id());
  return ids;
}

}  // namespace

TEST_CASE("many least connections: every pick is the least busy, whatever begins, ends and changes") {
  const std::vector<std::uint32_t> weights =
      GENERATE(std::vector<std::uint32_t>{1}, std::vector<std::uint32_t>{3, 1, 1, 7},
               std::vector<std::uint32_t>{256, 255, 17});
  const std::uint32_t count = GENERATE(129U, 300U, 5000U);
  CAPTURE(weights, count);
  std::mt19937 random(count);  // NOLINT: the same story every time
  Group group = many(count, weights);
  std::vector<Lease> held;
  for (int i = 0; i < 50; ++i) held.push_back(Lease::take(group.backends[random() % count].load));
  group.build();
  const int steps = count > 1000 ? 300 : 2000;
  for (int step = 0; step < steps; ++step) {
    const std::vector<BackendId> tried = some_of(*group.pool, random() % 4 == 0 ? random() % 20 : 0, random);
    const Backend* chosen = group.pool->pick({{}, tried});
    REQUIRE(chosen != nullptr);
    REQUIRE(std::ranges::find(tried, chosen->id()) == tried.end());
    REQUIRE(is_least(*group.pool, *chosen, tried));
    held.push_back(Lease::take(chosen->load));
    if (random() % 3 == 0) {
      std::swap(held[random() % held.size()], held.back());
      held.pop_back();
    }
    if (random() % 500 == 0) held.resize(held.size() / 2);
    if (random() % 100 == 0) {
      Backend& changed = group.backends[random() % count];
      changed.health = random() % 2 == 0 ? Health::Down : Health::Up;
      changed.share_percent = 1 + static_cast<std::uint32_t>(random() % 100);
      group.build();
    }
  }
}

TEST_CASE("many least connections: ties go to the one that is next in the sequence") {
  constexpr std::uint32_t kCount = 300;
  std::mt19937 random(1);  // NOLINT: the same story every time
  Group group = many(kCount, std::vector<std::uint32_t>{1});
  const Pool& pool = group.build();
  std::vector<Lease> held;
  std::uint32_t next = 0;
  for (int step = 0; step < 2000; ++step) {
    const std::vector<BackendId> tried = some_of(pool, random() % 4 == 0 ? 3 : 0, random);
    std::vector<std::uint32_t> tied;  // all weigh alike
    for (std::uint32_t i = 0; i < kCount; ++i) {
      const Backend& one = pool.backends()[(next + i) % kCount];
      if (std::ranges::find(tried, one.id()) != tried.end()) continue;
      if (!tied.empty() && is_less(one, pool.backends()[tied.front()])) tied.clear();
      if (tied.empty() || !is_less(pool.backends()[tied.front()], one)) tied.push_back((next + i) % kCount);
    }
    std::vector<std::string> because;
    const PickInput input{{}, tried};
    REQUIRE(pool.explain(input, because).backend == &pool.backends()[tied.front()]);
    REQUIRE(pool.pick(input) == &pool.backends()[tied.front()]);
    if (tied.size() > 1) next = (tied.front() + 1) % kCount;
    held.push_back(Lease::take(pool.backends()[tied.front()].load));
    while (random() % 2 == 0 && !held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      held.pop_back();
    }
  }
}

TEST_CASE("many least connections: weighted ties follow the sequence when it is short") {
  std::vector<std::uint32_t> weights(150, 1);
  weights[0] = 5;
  Group ranked = many(150, weights);
  Group turns = many(150, weights);
  turns.settings.balance = "round_robin";
  ranked.build();
  turns.build();
  CHECK(ranked.picks(400) == turns.picks(400));
}

TEST_CASE("many least connections: far-off ties are fair") {
  Group group = many(200, std::vector<std::uint32_t>{256, 255});
  group.add("x", 1);
  group.add("y", 1);
  group.build();
  std::vector<Lease> held;
  for (Backend& backend : group.backends)
    if (backend.weight > 1) held.push_back(Lease::take(backend.load));
  CHECK(group.counts(1000) == std::map<std::string, int>{{"x", 500}, {"y", 500}});
}

TEST_CASE("many least connections: all tried leaves nobody") {
  Group group = many(200, std::vector<std::uint32_t>{1});
  const Pool& pool = group.build();
  std::vector<BackendId> tried;
  while (const Backend* chosen = pool.pick({{}, tried})) tried.push_back(chosen->id());
  CHECK(tried.size() == 200);
}

TEST_CASE("many least connections: two versions of a pool see each other's sessions") {
  Group group = many(200, std::vector<std::uint32_t>{1, 2});
  group.build();
  const std::shared_ptr<const Pool> older = group.pool;
  group.add("later");
  group.set("b7", Health::Down);
  std::vector<Lease> held;
  for (int i = 0; i < 2000; ++i) {
    const Pool& pool = i % 3 == 0 ? *older : *group.pool;
    const Backend* chosen = pool.pick({});
    REQUIRE(is_least(pool, *chosen, {}));
    held.push_back(Lease::take(chosen->load));
    if (i % 2 == 0) held[static_cast<std::size_t>(i / 2)] = {};
  }
}

TEST_CASE("many least connections: threads that only begin sessions are off by one each at most") {
  constexpr std::uint32_t kThreads = 2;
  Group group = many(200, std::vector<std::uint32_t>{1});
  const Pool& pool = group.build();
  std::vector<std::vector<Lease>> held(kThreads);
  for (int round = 0; round < 20; ++round) {
    {
      std::vector<std::jthread> threads;
      for (auto& own : held) {
        threads.emplace_back([&] {
          for (int i = 0; i < 500; ++i) own.push_back(Lease::take(pool.pick({})->load));
        });
      }
    }
    const auto [least, most] = std::ranges::minmax(
        pool.backends(), {}, [](const Backend& backend) { return backend.load->active.load(); });
    REQUIRE(most.load->active - least.load->active <= 1 + kThreads);
  }
}

TEST_CASE("many least connections: what threads begin and end at once is never lost from sight") {
  Group group = many(1000, std::vector<std::uint32_t>{1, 1, 3});
  const Pool& pool = group.build();
  for (unsigned round = 0; round < 30; ++round) {
    std::vector<std::vector<Lease>> held(3);
    {
      std::vector<std::jthread> threads;
      for (unsigned t = 0; t < held.size(); ++t) {
        threads.emplace_back([&, t] {
          std::mt19937 random(round * 10 + t);  // NOLINT: the same story every time
          for (int i = 0; i < 1000; ++i) {
            held[t].push_back(Lease::take(pool.pick({})->load));
            if (random() % 2 == 0) {
              std::swap(held[t][random() % held[t].size()], held[t].back());
              held[t].pop_back();
            }
            if (random() % 300 == 0) held[t].clear();
          }
        });
      }
    }
    std::vector<Lease> more;
    for (int i = 0; i < 50; ++i) {
      const Backend* chosen = pool.pick({});
      REQUIRE(is_least(pool, *chosen, {}));
      more.push_back(Lease::take(chosen->load));
    }
  }
}
