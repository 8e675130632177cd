#include <catch2/catch.hpp>
#include <mutex>
#include <random>
#include <thread>

#include "tests/unit/balance/group.h"

using namespace weir;

TEST_CASE("round robin over 5/1/1 gives aabacaa, again and again") {
  Group group("round_robin", {{"a", 5}, {"b", 1}, {"c", 1}});
  group.build();
  CHECK(group.picks(14) == "aabacaaaabacaa");
}

TEST_CASE("round robin over four equal backends starts again after the fourth") {
  Group group("round_robin", {{"1", 7}, {"2", 7}, {"3", 7}, {"4", 7}});
  group.build();
  CHECK(group.picks(5) == "12341");
}

TEST_CASE("round robin over 256/1 picks one b in any 257 picks") {
  Group group("round_robin", {{"a", 256}, {"b", 1}});
  group.build();
  const std::string picks = group.picks(257 * 3);
  for (std::size_t from = 0; from + 257 <= picks.size(); ++from) {
    REQUIRE(std::count(picks.begin() + static_cast<std::ptrdiff_t>(from),
                       picks.begin() + static_cast<std::ptrdiff_t>(from) + 257, 'b') == 1);
  }
}

TEST_CASE("the turns of a backend that is down are left out, and return with it") {
  Group group("round_robin", {{"a", 5}, {"b", 1}, {"c", 1}});
  group.build();
  group.set("a", Health::Down);
  CHECK(group.picks(6) == "bcbcbc");
  group.set("a", Health::Up);
  const auto counts = group.counts(70);
  CHECK(counts.at("a") == 50);
  CHECK(counts.at("b") == 10);
  CHECK(counts.at("c") == 10);
}

TEST_CASE("a change carries on where the sequence was") {
  Group group("round_robin", {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}});
  group.build();
  CHECK(group.picks(2) == "ab");
  group.build();  // nothing changed
  CHECK(group.picks(1) == "c");
  group.set("d", Health::Down);
  CHECK(group.picks(2) == "ab");
  group.set("d", Health::Up);
  CHECK(group.picks(3) == "cda");
  group.add("e");
  group.build();
  CHECK(group.picks(5) == "bcdea");
  group.backends.erase(group.backends.begin() + 1);  // b, whose turn it is
  group.build();
  CHECK(group.picks(5) == "cdeac");
}

TEST_CASE("the place is kept while nobody is eligible") {
  Group group("round_robin", {{"a", 1}, {"b", 1}, {"c", 1}});
  group.build();
  CHECK(group.picks(1) == "a");
  for (const char* name : {"a", "b", "c"}) group.set(name, Health::Down);
  CHECK(group.picks(1) == "-");
  for (const char* name : {"a", "b", "c"}) group.set(name, Health::Up);
  CHECK(group.picks(3) == "bca");
}

TEST_CASE("a backend that flaps after every pick does not unbalance the others") {
  const bool weighted = GENERATE(false, true);
  const std::string flapping = GENERATE("a", "b", "d");
  CAPTURE(weighted, flapping);
  Group group("round_robin", {{"a", 1}, {"b", weighted ? 2 : 1}, {"c", 1}, {"d", weighted ? 3 : 1}});
  group.build();
  std::map<std::string, int> picks;
  constexpr int kRounds = 2400;
  for (int round = 0; round < kRounds; ++round) {
    group.set(flapping, round % 2 == 0 ? Health::Down : Health::Up);
    ++picks[group.picks(1)];
  }
  double fewest = kRounds;
  double most = 0;
  for (const Backend& backend : group.backends) {
    const double for_weight = static_cast<double>(picks[backend.name]) / backend.weight;
    if (backend.name == flapping) {
      CHECK(for_weight <= most + fewest);
      continue;
    }
    fewest = std::min(fewest, for_weight);
    most = std::max(most, for_weight);
  }
  CHECK(most - fewest <= 2);
  CHECK(picks[flapping] / static_cast<double>(group[flapping].weight) <= most + 2);
}

TEST_CASE("random changes of health after every pick leave steady backends their exact parts") {
  Group group("round_robin", {{"a", 1}, {"b", 1}, {"c", 2}, {"d", 1}, {"e", 3}, {"f", 1}});
  group.build();
  std::mt19937 random(7);  // NOLINT: the same cases every time
  std::map<std::string, int> picks;
  for (int round = 0; round < 5000; ++round) {
    const std::string name(1, static_cast<char>('d' + random() % 3));
    group.set(name, random() % 2 == 0 ? Health::Down : Health::Up);
    ++picks[group.picks(1)];
  }
  CHECK(std::abs(picks["a"] - picks["b"]) <= 1);
  CHECK(std::abs(picks["c"] - 2 * picks["a"]) <= 2);
  CHECK(picks["d"] <= picks["a"] + 1);
  CHECK(picks["e"] <= 3 * picks["a"] + 3);
}

TEST_CASE("round robin is exact over threads that pick at once") {
  Group group("round_robin", {{"a", 5}, {"b", 1}, {"c", 1}, {"d", 3}});
  const Pool& pool = group.build();
  constexpr int kThreads = 4;
  constexpr int kPicks = 10 * 1000;
  std::array<std::array<int, 4>, kThreads> counts{};
  {
    std::vector<std::jthread> threads;
    for (auto& own : counts) {
      threads.emplace_back([&pool, &own] {
        for (int i = 0; i < kPicks; ++i) {
          const Backend* backend = pool.pick({});
          ++own[static_cast<std::size_t>(backend - pool.backends().data())];
        }
      });
    }
  }
  std::array<int, 4> sum{};
  for (const auto& own : counts) {
    for (std::size_t i = 0; i < own.size(); ++i) sum[i] += own[i];
  }
  CHECK(sum == std::array<int, 4>{20'000, 4'000, 4'000, 12'000});
}

TEST_CASE("a version that replaces another while other threads pick always has somebody to pick") {
  Group group("round_robin", {{"a", 1}, {"b", 1}, {"c", 1}});
  group.build();
  std::mutex mutex;
  std::shared_ptr<const Pool> current = group.pool;
  const auto adopt = [&] {
    const std::lock_guard lock(mutex);
    return current;
  };
  std::atomic<bool> stop{false};
  std::atomic<int> missed{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        while (!stop.load()) missed += adopt()->pick({}) == nullptr ? 1 : 0;
      });
    }
    for (int i = 0; i < 500; ++i) {
      group.set("b", i % 2 == 0 ? Health::Down : Health::Up);
      const std::lock_guard lock(mutex);
      current = group.pool;
    }
    stop = true;
  }
  CHECK(missed == 0);
}

TEST_CASE("round robin in slow start gives a recovered backend its share") {
  Group group("round_robin", {{"a", 1}, {"b", 1}, {"c", 2}});
  group["c"].share_percent = 25;
  group.build();
  const auto counts = group.counts(250);
  CHECK(counts.at("a") == 100);
  CHECK(counts.at("b") == 100);
  CHECK(counts.at("c") == 50);
}

TEST_CASE("a share that grows after every few picks never exceeds the weight") {
  Group group("round_robin", {{"a", 1}, {"b", 1}, {"c", 1}});
  std::map<std::string, int> picks;
  for (std::uint32_t percent = 1; percent <= 100; ++percent) {
    group["c"].share_percent = percent;
    group.build();
    for (int i = 0; i < 10; ++i) ++picks[group.picks(1)];
  }
  CHECK(std::abs(picks["a"] - picks["b"]) <= 1);
  // The ramp's mean is half a share: 1,000 picks are about 400 / 400 / 200.
  CHECK(picks["c"] > 160);
  CHECK(picks["c"] < 240);
}

TEST_CASE("explain of round robin tells the turn and does not take it") {
  Group group("round_robin", {{"a", 5}, {"b", 1}, {"c", 1}});
  const Pool& pool = group.build();
  group.picks(2);
  for (int i = 0; i < 3; ++i) {
    std::vector<std::string> because;
    CHECK(pool.explain({}, because).backend->name == "b");
    CHECK(because == std::vector<std::string>{"round_robin: turn 3 of 7", "turn 3 belongs to b"});
  }
  CHECK(group.picks(1) == "b");
}
