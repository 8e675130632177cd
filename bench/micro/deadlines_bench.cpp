// Question: what do the deadlines of sessions cost? Every session sets one at its accept and moves it once it
// is connected; activity only touches (stores a time), and what comes due is looked at and set again.
// Measured with 10 to 10,000 sessions in the wheel, whose deadlines are spread over an idle timeout of ten
// minutes.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <deque>

#include "lb/proxy/deadlines.h"

using namespace weir;

namespace {

constexpr std::uint64_t kStartMs = 1'000'000;
constexpr std::uint64_t kTimeoutMs = 600'000;

/// As many sessions as the argument says, each with its deadline.
struct Sessions {
  explicit Sessions(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i)
      wheel.set(deadlines.emplace_back(), kStartMs + 1 + static_cast<std::uint64_t>(i) * 7919 % kTimeoutMs);
  }

  Deadlines wheel{kStartMs};
  std::deque<Deadline> deadlines;
};

/// A session comes and goes.
void set_and_cancel(benchmark::State& state) {
  Sessions sessions(state.range(0));
  Deadline deadline;
  std::uint64_t due_ms = kStartMs + kTimeoutMs;
  for (auto _ : state) {
    sessions.wheel.set(deadline, due_ms++);
    deadline.unlink();
  }
}

/// From connect_timeout to idle_timeout.
void move(benchmark::State& state) {
  Sessions sessions(state.range(0));
  std::size_t i = 0;
  for (auto _ : state) {
    Deadline& deadline = sessions.deadlines[i];
    sessions.wheel.set(deadline, kStartMs + (deadline.due_ms > kStartMs + 2000 ? 2000 : kTimeoutMs));
    if (++i == sessions.deadlines.size()) i = 0;
  }
}

/// What activity costs instead: the deadline stays where it is.
void touch(benchmark::State& state) {
  std::uint64_t last_activity_ms = 0;
  std::uint64_t now_ms = kStartMs;
  for (auto _ : state) {
    last_activity_ms = ++now_ms;
    benchmark::DoNotOptimize(last_activity_ms);
  }
}

/// A millisecond passes; what is due is set anew, as for a session that was active meanwhile. The time is
/// that of one turn of the loop; `due_each_turn` says how many came due in one.
void turn(benchmark::State& state) {
  Sessions sessions(state.range(0));
  std::uint64_t now_ms = kStartMs;
  std::uint64_t expired = 0;
  for (auto _ : state) {
    ++now_ms;
    while (Deadline* const deadline = sessions.wheel.expire_one(now_ms)) {
      sessions.wheel.set(*deadline, now_ms + kTimeoutMs);
      ++expired;
    }
    benchmark::DoNotOptimize(sessions.wheel.next_ms());
  }
  state.counters["due_each_turn"] =
      static_cast<double>(expired) / static_cast<double>(std::max<std::uint64_t>(1, now_ms - kStartMs));
}

/// All in the same millisecond: a burst of sessions that went silent together.
void expire(benchmark::State& state) {
  std::deque<Deadline> deadlines(static_cast<std::size_t>(state.range(0)));
  Deadlines wheel(kStartMs);
  std::uint64_t now_ms = kStartMs;
  for (auto _ : state) {
    now_ms += kTimeoutMs;
    for (Deadline& deadline : deadlines) wheel.set(deadline, now_ms);
    while (Deadline* const deadline = wheel.expire_one(now_ms)) benchmark::DoNotOptimize(deadline);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->RangeMultiplier(10)->Range(10, 10'000);
}

}  // namespace

BENCHMARK(set_and_cancel)->Apply(sizes);
BENCHMARK(move)->Apply(sizes);
BENCHMARK(touch);
BENCHMARK(turn)->Apply(sizes);
BENCHMARK(expire)->Apply(sizes);
