#include "lb/observe/history.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

using namespace weir;
using namespace std::chrono_literals;

namespace {

constexpr History::Steady kStart{1'000s};
constexpr History::System kWall{1'769'853'600s};

/// A history with a clock that is moved by hand.
struct Told {
  History history{kStart};
  std::chrono::seconds now{0};

  void look(const std::vector<History::Sample>& samples, const History::Unserved& unserved = {}) {
    history.look(kStart + now, kWall + now, samples, unserved);
    now += HistorySeries::kShortStep;
  }
};

History::Sample of(std::uint32_t id, std::string_view name, std::uint64_t sessions, std::uint32_t active = 0,
                   std::string_view pool = "web") {
  History::Sample out;
  out.id = id;
  out.pool = pool;
  out.name = name;
  out.sessions = sessions;
  out.active = active;
  return out;
}

std::vector<std::uint32_t> sessions(const std::vector<HistoryStep>& steps) {
  std::vector<std::uint32_t> out;
  for (const auto& step : steps) out.push_back(step.seen() ? step.sessions : 777);
  return out;
}
using Numbers = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("each step has what has come in it, and what was before the first look is not in it") {
  Told told;
  told.look({of(1, "a", 100)});
  told.look({of(1, "a", 107)});
  told.look({of(1, "a", 107)});
  told.look({of(1, "a", 110), of(2, "b", 4)});  // a newcomer begins at 0
  const auto* a = told.history.find("web", "a");
  REQUIRE(a != nullptr);
  CHECK(sessions(a->last_short()) == Numbers{0, 7, 0, 3});
  const auto* b = told.history.find("web", "b");
  REQUIRE(b != nullptr);
  CHECK(sessions(b->last_short()) == Numbers{4});
  const auto* pool = told.history.find("web");
  REQUIRE(pool != nullptr);
  CHECK(sessions(pool->last_short()) == Numbers{0, 7, 0, 7});
  CHECK(sessions(told.history.all().last_short()) == Numbers{0, 7, 0, 7});
  CHECK(sessions(told.history.all().last_long()) == Numbers{14});
  CHECK(told.history.wall() == kWall + 15s);
}

TEST_CASE("all that is counted finds its place, and active sessions of a minute are the most of it") {
  Told told;
  told.look({of(1, "a", 0)});
  auto busy = of(1, "a", 1, 50);
  busy.connect_failures = 3;
  busy.bytes_to_backend = 5'000'000'000;
  busy.bytes_to_client = 6;
  told.look({busy});
  busy.active = 20;
  told.look({busy});
  const auto steps = told.history.find("web", "a")->last_short();
  REQUIRE(steps.size() == 3);
  CHECK(steps[1].active == 50);
  CHECK(steps[1].connect_failures == 3);
  CHECK(steps[1].bytes_to_backend == 5'000'000'000);
  CHECK(steps[1].bytes_to_client == 6);
  CHECK(steps[2].active == 20);
  CHECK(steps[2].bytes_to_backend == 0);
  const auto minutes = told.history.find("web", "a")->last_long();
  REQUIRE(minutes.size() == 1);
  CHECK(minutes[0].active == 50);
  CHECK(minutes[0].bytes_to_backend == 5'000'000'000);
}

TEST_CASE("failures are kept by kind, and those that no backend had are their pool's") {
  Told told;
  auto a = of(1, "a", 0), b = of(2, "b", 0);
  a.backend_resets = 1'000;
  told.look({a, b}, {{"web", 500}, {"other", 9}});
  a.connect_failures = 1;
  a.backend_resets += 2;
  a.probes_failed = 3;
  b.probes_failed = 4;
  told.look({a, b, of(3, "c", 0, 0, "other")}, {{"web", 505}, {"other", 9}});
  told.look({a, b, of(3, "c", 0, 0, "other")}, {{"web", 505}, {"other", 10}});
  const auto steps = told.history.find("web", "a")->last_short();
  CHECK(steps[0].backend_resets == 0);
  CHECK(steps[1].connect_failures == 1);
  CHECK(steps[1].backend_resets == 2);
  CHECK(steps[1].probes_failed == 3);
  CHECK(steps[1].unserved == 0);
  CHECK(steps[2].backend_resets == 0);
  const auto of_pool = told.history.find("web")->last_short();
  CHECK(of_pool[0].unserved == 0);
  CHECK(of_pool[1].backend_resets == 2);
  CHECK(of_pool[1].probes_failed == 7);
  CHECK(of_pool[1].unserved == 5);
  CHECK(of_pool[2].unserved == 0);
  // A pool that has just come was another's of that name before.
  const auto of_other = told.history.find("other")->last_short();
  REQUIRE(of_other.size() == 2);
  CHECK(of_other[0].unserved == 0);
  CHECK(of_other[1].unserved == 1);
  CHECK(told.history.all().last_short()[1].unserved == 5);
  CHECK(told.history.all().last_long()[0].unserved == 6);
  CHECK(told.history.all().last_long()[0].probes_failed == 7);
}

TEST_CASE("ten minutes are kept in short steps and an hour in minutes, and no more") {
  Told told;
  std::uint64_t total = 0;
  constexpr std::uint64_t kLooks = 2 * 3'600 / 5;  // two hours
  for (std::uint64_t i = 0; i < kLooks; ++i) told.look({of(1, "a", total += i)});
  const auto* a = told.history.find("web", "a");
  const auto steps = a->last_short();
  REQUIRE(steps.size() == HistorySeries::kShortSteps);
  CHECK(steps.front().sessions == kLooks - HistorySeries::kShortSteps);
  CHECK(steps.back().sessions == kLooks - 1);
  const auto minutes = a->last_long();
  REQUIRE(minutes.size() == HistorySeries::kLongSteps);
  std::uint64_t last_minute = 0;
  for (std::uint64_t i = kLooks - 12; i < kLooks; ++i) last_minute += i;
  CHECK(minutes.back().sessions == last_minute);
  CHECK(minutes.front().sessions == last_minute - 59 * 12 * 12);
  CHECK(sizeof(HistorySeries) < 12 * 1024);
}

TEST_CASE("a step in which nobody looked is told from one in which nothing happened") {
  Told told;
  told.look({of(1, "a", 0)});
  told.look({of(1, "a", 1)});
  told.now += 10s;  // the loop was held up
  told.look({of(1, "a", 9)});
  CHECK(sessions(told.history.find("web", "a")->last_short()) == Numbers{0, 1, 777, 777, 8});
  told.now += 3h;
  told.look({of(1, "a", 10)});
  const auto steps = told.history.find("web", "a")->last_short();
  REQUIRE(steps.size() == HistorySeries::kShortSteps);
  CHECK(steps.back().sessions == 1);
  CHECK_FALSE(steps.front().seen());
  CHECK_FALSE(steps[steps.size() - 2].seen());
}

TEST_CASE("two looks within one step are one step") {
  Told told;
  told.look({of(1, "a", 0)});
  told.look({of(1, "a", 2)});
  told.now -= 4s;
  told.look({of(1, "a", 5)});
  CHECK(sessions(told.history.find("web", "a")->last_short()) == Numbers{0, 5});
}

TEST_CASE("connect times are those of the step, of a pool over all its backends") {
  Told told;
  const auto took = [](std::size_t fast, std::size_t slow) {
    TimeCounts out;
    out.counts[time_buckets::of(100us)] = fast;
    out.counts[time_buckets::of(3s)] = slow;
    return out;
  };
  auto a = of(1, "a", 0), b = of(2, "b", 0);
  told.look({a, b});
  a.connects = took(100, 0);
  told.look({a, b});
  a.connects = took(100, 2);
  b.connects = took(198, 0);
  told.look({a, b});
  told.look({a, b});
  const auto fast = static_cast<std::uint8_t>(time_buckets::of(100us));
  const auto slow = static_cast<std::uint8_t>(time_buckets::of(3s));
  const auto of_a = told.history.find("web", "a")->last_short();
  CHECK(of_a[0].connect_p99 == HistoryStep::kNoTime);
  CHECK(of_a[1].connect_p99 == fast);
  CHECK(of_a[2].connect_p50 == slow);
  CHECK(of_a[3].connect_p50 == HistoryStep::kNoTime);
  const auto of_pool = told.history.find("web")->last_short();
  CHECK(of_pool[2].connect_p50 == fast);
  CHECK(of_pool[2].connect_p99 == fast);  // 198 of 200
  CHECK(told.history.find("web", "a")->last_long()[0].connect_p50 == fast);
  CHECK(told.history.find("web", "a")->last_long()[0].connect_p99 == slow);
}

TEST_CASE("who leaves is forgotten, and what a pool has had with it stays") {
  Told told;
  told.look({of(1, "a", 0), of(2, "b", 0), of(3, "c", 0, 0, "other")});
  told.look({of(1, "a", 4), of(2, "b", 5), of(3, "c", 6, 0, "other")});
  told.look({of(2, "b", 5)});
  CHECK(told.history.find("web", "a") == nullptr);
  CHECK(told.history.find("other") == nullptr);
  CHECK(sessions(told.history.find("web")->last_short()) == Numbers{0, 9, 0});
  CHECK(told.history.pools().size() == 1);
  // Under its old name at another address it is another backend; the younger one is meant.
  told.look({of(2, "b", 5), of(7, "b", 1)});
  CHECK(sessions(told.history.find("web", "b")->last_short()) == Numbers{1});
}

namespace {

/// Two backends of which one is busy, and one look half a minute later.
Told busy_one(std::chrono::seconds time) {
  Told told;
  auto a = of(1, "a", 0), b = of(2, "b", 0, 0, "other");
  const auto look = [&] {
    a.sessions += 7;
    a.connect_failures += 1;
    a.backend_resets += 2;
    a.probes_failed += 3;
    a.bytes_to_client += 5'000'000'000;
    a.active = 40;
    a.connects.emplace(a.connects.value_or(TimeCounts())).counts[time_buckets::of(3s)] += 9;
    told.look({a, b}, {{"web", a.sessions}});
  };
  while (told.now < time) look();
  told.now += 30s;
  look();
  return told;
}

bool same(const std::vector<HistoryStep>& one, const std::vector<HistoryStep>& other) {
  return std::ranges::equal(one, other, [](const HistoryStep& a, const HistoryStep& b) {
    return a.active == b.active && a.sessions == b.sessions && a.connect_failures == b.connect_failures &&
           a.backend_resets == b.backend_resets && a.probes_failed == b.probes_failed &&
           a.unserved == b.unserved && a.connect_p50 == b.connect_p50 && a.connect_p99 == b.connect_p99 &&
           a.bytes_to_backend == b.bytes_to_backend && a.bytes_to_client == b.bytes_to_client;
  });
}

}  // namespace

TEST_CASE("the process that follows goes on with the history, whatever it has counted itself") {
  Told told = busy_one(3h);
  const auto before = told.history.find("web", "a")->last_short();
  auto next = History::from_bytes(told.history.to_bytes(), kStart + told.now);
  REQUIRE(next);
  Told later{std::move(*next), told.now};
  CHECK(same(later.history.all().last_short(), told.history.all().last_short()));
  CHECK(same(later.history.all().last_long(), told.history.all().last_long()));
  // Under another id, and with counts of its own that are none of this step's.
  later.look({of(9, "a", 1'000, 5), of(4, "new", 3)}, {{"web", 50}});
  later.look({of(9, "a", 1'002, 6), of(4, "new", 3)}, {{"web", 51}});
  auto steps = later.history.find("web", "a")->last_short();
  REQUIRE(steps.size() == HistorySeries::kShortSteps);
  CHECK(steps.back().sessions == 2);
  CHECK(steps[steps.size() - 2].sessions == 0);
  CHECK(steps[steps.size() - 2].active == 5);
  CHECK(same({before.begin() + 2, before.end()}, {steps.begin(), steps.end() - 2}));
  CHECK(later.history.find("web", "a")->last_long().size() == HistorySeries::kLongSteps);
  CHECK(later.history.find("web", "a")->last_long().front().backend_resets == 24);
  CHECK(sessions(later.history.find("web", "new")->last_short()) == Numbers{0, 0});
  CHECK(later.history.find("web")->last_short().back().unserved == 1);
  CHECK(later.history.find("web")->last_short().size() == HistorySeries::kShortSteps);
  CHECK(later.history.find("other", "b") == nullptr);
  CHECK(later.history.find("other") == nullptr);
}

TEST_CASE("connects of the step under way are counted on by the process that follows") {
  Told told;
  auto a = of(1, "a", 0);
  told.look({a});
  a.connects.emplace().counts[time_buckets::of(3s)] = 99;
  told.look({a});
  auto next = History::from_bytes(told.history.to_bytes(), kStart + told.now);
  REQUIRE(next);
  Told later{std::move(*next), told.now};
  a.connects.emplace();
  later.look({a});
  a.connects->counts[time_buckets::of(100us)] = 1;
  later.look({a});
  CHECK(later.history.find("web", "a")->last_short().back().connect_p50 == time_buckets::of(100us));
  CHECK(later.history.find("web", "a")->last_long().back().connect_p50 == time_buckets::of(3s));
}

TEST_CASE("what is no history of an older process, or not yet, is none") {
  const Told told = busy_one(2min);
  const std::string bytes = told.history.to_bytes();
  const auto now = kStart + told.now;
  REQUIRE(History::from_bytes(bytes, now));
  CHECK_FALSE(History::from_bytes("", now));
  CHECK_FALSE(History::from_bytes("weir-history-2\n" + bytes.substr(15), now));
  CHECK_FALSE(History::from_bytes(bytes, now - 1min));
  CHECK_FALSE(History::from_bytes(bytes, now - 1h));
  CHECK_FALSE(History::from_bytes(bytes, History::Steady()));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    if (History::from_bytes(bytes.substr(0, size), now)) FAIL("cut after " << size << " bytes");
  // Whatever it makes of them, it can be gone on with.
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string spoilt = bytes;
    spoilt[at] = static_cast<char>(~spoilt[at]);
    if (auto next = History::from_bytes(spoilt, now)) next->look(now, kWall, {of(1, "a", 1)});
  }
}

TEST_CASE("the history of a thousand busy backends is handed over in some MB") {
  Told told;
  std::vector<History::Sample> samples(1'000);
  std::vector<std::string> names(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    names[i] = "backend-" + std::to_string(i);
    samples[i] = of(static_cast<std::uint32_t>(i + 1), names[i], 0, 100'000);
  }
  for (std::uint64_t i = 0; i < HistorySeries::kShortSteps; ++i) {
    for (auto& sample : samples) {
      sample.sessions += 4'000'000'000;
      sample.bytes_to_backend += 1ULL << 40U;
      sample.bytes_to_client += 1ULL << 50U;
    }
    told.look(samples);
  }
  const std::string bytes = told.history.to_bytes();
  CHECK(bytes.size() < 8'000'000);
  CHECK(bytes.size() < History::kMostBytes);
  CHECK(History::from_bytes(bytes, kStart + told.now));
}
