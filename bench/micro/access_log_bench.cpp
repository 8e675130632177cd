// Question: what does the access log cost a worker for each session (the record put into its queue), and the
// log's own thread (the line)? The first is part of a connection's price; the second tells how many sessions
// a second one log thread keeps up with.

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "lb/proxy/access_log.h"

using namespace weir;

namespace {

/// A quarter of what the queue holds, so that every record finds a slot.
constexpr int kBurstRecords = AccessLog::kQueueRecords / 4;

struct Names {
  ListenerLoad listener{"web", "web", 1};
  std::shared_ptr<BackendLoad> backend = std::make_shared<BackendLoad>(1, "web", "web1", "10.0.0.11:80", 1);
};

AccessRecord record_of(const Names& names) {
  return {.time_ms = 1'769'853'600'123,
          .listener = &names.listener,
          .backend = names.backend,
          .connect_us = 412,
          .duration_us = 12'912,
          .bytes_to_backend = 78,
          .bytes_to_client = 5120,
          .client = *ClientAddress::parse_ip("203.0.113.9"),
          .attempts = 1,
          .end = End::Done};
}

void format_line(benchmark::State& state) {
  const Names names;
  const AccessRecord record = record_of(names);
  std::string lines;
  for (auto _ : state) {
    if (lines.size() > 32 * 1024) lines.clear();
    append_line(lines, "1f2e3d4c", record);
    benchmark::DoNotOptimize(lines.data());
  }
  state.SetItemsProcessed(state.iterations());
}

/// What every record costs before it gets to the queue: a copy with a counted reference.
void make_record(benchmark::State& state) {
  const Names names;
  const AccessRecord record = record_of(names);
  for (auto _ : state) {
    AccessRecord copy = record;
    benchmark::DoNotOptimize(&copy);
  }
}

/// In bursts, so that none is dropped for want of room: a dropped record would be cheaper. Includes
/// make_record.
void enqueue(benchmark::State& state) {
  const Names names;
  std::atomic<int> complaints{0};
  auto target = AccessLog::open("/dev/null");
  WEIR_CHECK(target);
  AccessLog log(std::move(*target), 1, [&](const std::string&) { ++complaints; });
  const AccessRecord record = record_of(names);
  for (auto _ : state) {
    const auto before = std::chrono::steady_clock::now();
    for (int i = 0; i < kBurstRecords; ++i) log.write(0, AccessRecord(record));
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count());
    // Until the log thread holds none of our references any more.
    while (names.backend.use_count() > 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  state.SetItemsProcessed(state.iterations() * kBurstRecords);
  state.counters["complaints"] = complaints.load();
}

}  // namespace

BENCHMARK(format_line);
BENCHMARK(make_record);
// So many, since a burst is timed for microseconds and then waited for 10 ms: the library would go on for
// minutes.
BENCHMARK(enqueue)->UseManualTime()->Iterations(200)->Unit(benchmark::kMicrosecond);
