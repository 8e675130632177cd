#include <catch2/catch.hpp>

#include "tests/loop/health_bench.h"

using namespace weir;
using namespace weir::test;

TEST_CASE("after the first probes of 40 backends no window holds more than a quarter of an interval's",
          "[alone]") {
  constexpr BackendId kBackends = 40;
  constexpr std::size_t kProbes = kBackends * 4;
  std::mutex mutex;
  std::vector<Clock::time_point> starts;
  // The interval is that of the clock's probes: a command's start would be blurred by the scheduler.
  FakeBackend backend({.script = [&](Stream&) {
    const std::lock_guard lock(mutex);
    starts.push_back(Clock::now());
  }});
  HealthBench bench;
  std::vector<ProbeTarget> targets;
  for (BackendId id = 1; id <= kBackends; ++id) {
    auto probe = HealthBench::probe("tcp");
    probe.interval = Millis(1000);
    probe.fall = id;  // so that no two of them share one
    targets.push_back(HealthBench::target(id, backend.address(), probe));
  }
  bench.checker().set_targets(targets);
  REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return starts.size() >= kProbes;
  }));
  const std::lock_guard lock(mutex);
  std::sort(starts.begin(), starts.end());
  // 50 ms, in which an even spread has 2; a machine that stalls for a moment may bunch some more.
  std::size_t most = 0;
  for (std::size_t first = kBackends, last = kBackends; last < starts.size(); ++last) {
    while (starts[last] - starts[first] >= milliseconds(50)) ++first;
    most = std::max(most, last - first + 1);
  }
  CHECK(most <= kBackends / 4);
}
