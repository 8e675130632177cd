// Question: how long does the control thread need for a new pool, and for one change to it? The promise is a
// whole new Table of 1,000 backends in under 500 ms and one change of 1,000 in under 50 ms.
//
// Weights are random from 1 to 256 (the worst for round robin) unless `equal`. A change copies the backends
// as the registry does, changes one, and builds from the version before.

#include <benchmark/benchmark.h>

#include "bench/micro/pool_of.h"

using namespace weir;

namespace {

void from_nothing(benchmark::State& state, const std::string& balance, bool random_weights) {
  const std::vector<Backend> backends = backends_of(state.range(0), random_weights);
  for (auto _ : state) {
    benchmark::DoNotOptimize(Pool::build(settings_of(balance), backends, nullptr));
  }
}

using Change = void (*)(Backend& backend);

void one_change(benchmark::State& state, const std::string& balance, Change change) {
  auto pool = Pool::build(settings_of(balance), backends_of(state.range(0), true), nullptr);
  std::size_t i = 0;
  for (auto _ : state) {
    std::vector<Backend> backends = pool->backends();
    change(backends[i++ / 2 * 7919 % backends.size()]);  // twice the same: there and back
    pool = Pool::build(settings_of(balance), std::move(backends), pool.get());
  }
}

void health(Backend& backend) {
  backend.health = backend.health == Health::Up ? Health::Down : Health::Up;
}
void weight(Backend& backend) {
  backend.weight = 257 - backend.weight;
}
void slow_start(Backend& backend) {
  backend.share_percent = backend.share_percent == 100 ? 37 : 100;
}

void copying(benchmark::State& state) {
  const std::vector<Backend> backends = backends_of(state.range(0), true);
  for (auto _ : state) {
    std::vector<Backend> copy = backends;
    benchmark::DoNotOptimize(copy.data());
  }
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(10)->Arg(1000)->Arg(10'000)->Unit(benchmark::kMillisecond);
}

}  // namespace

BENCHMARK_CAPTURE(from_nothing, round_robin, "round_robin", true)->Apply(sizes);
BENCHMARK_CAPTURE(from_nothing, round_robin_equal, "round_robin", false)->Apply(sizes);
BENCHMARK_CAPTURE(from_nothing, least_connections, "least_connections", true)->Apply(sizes);
BENCHMARK_CAPTURE(from_nothing, source_hash, "source_hash", true)->Apply(sizes);
BENCHMARK_CAPTURE(one_change, round_robin_health, "round_robin", health)->Apply(sizes);
BENCHMARK_CAPTURE(one_change, round_robin_weight, "round_robin", weight)->Apply(sizes);
BENCHMARK_CAPTURE(one_change, round_robin_slow_start, "round_robin", slow_start)->Apply(sizes);
BENCHMARK_CAPTURE(one_change, least_connections_health, "least_connections", health)->Apply(sizes);
BENCHMARK_CAPTURE(one_change, source_hash_health, "source_hash", health)->Apply(sizes);
BENCHMARK_CAPTURE(one_change, source_hash_weight, "source_hash", weight)->Apply(sizes);
BENCHMARK(copying)->Apply(sizes);
