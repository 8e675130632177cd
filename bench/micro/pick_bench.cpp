// Question: what does picking a backend cost a new session, for each balancer, number of backends and one or
// two workers? The promise is under 100 ns with 10 backends and under 2 µs with 1,000.
//
// Each pick is followed by a Lease that replaces one of 64 others, as a worker with sessions does: the
// counters that least_connections reads move all the time. `lease` is what that alone costs.

#include <benchmark/benchmark.h>

#include <array>

#include "bench/micro/pool_of.h"

using namespace weir;

namespace {

std::vector<ClientAddress> clients() {
  std::vector<ClientAddress> result;
  for (int i = 0; i < 1024; ++i) {
    result.push_back(*ClientAddress::parse_ip(fmt::format("10.7.{}.{}", i / 256, i % 256)));
  }
  return result;
}

/// Google Benchmark runs this on each thread; the first one makes what all use.
std::shared_ptr<const Pool> shared_pool;  // NOLINT: its threads share nothing else

void run_picks(benchmark::State& state, const std::string& balance, bool random_weights, bool retry) {
  if (state.thread_index() == 0) {
    shared_pool = Pool::build(settings_of(balance), backends_of(state.range(0), random_weights), nullptr);
  }
  const std::vector<ClientAddress> from = clients();
  std::array<Lease, 64> leases;
  std::size_t i = 0;
  for (auto _ : state) {
    const ClientAddress& client = from[i % from.size()];
    const Backend* backend = shared_pool->pick({client, {}});
    if (retry) {
      const BackendId tried[] = {backend->id()};
      backend = shared_pool->pick({client, tried});
    }
    leases[i++ % leases.size()] = Lease::take(backend->load);
  }
  state.SetItemsProcessed(state.iterations());
}

void pick(benchmark::State& state, const std::string& balance) {
  run_picks(state, balance, false, false);
}
void pick_random_weights(benchmark::State& state, const std::string& balance) {
  run_picks(state, balance, true, false);
}
void pick_and_retry(benchmark::State& state, const std::string& balance) {
  run_picks(state, balance, false, true);
}

/// All but one have as many sessions as they may have: the promise is under 2 µs with 1,000.
void pick_of_full(benchmark::State& state, const std::string& balance) {
  std::vector<Backend> backends = backends_of(state.range(0), false);
  std::vector<Lease> held;
  for (Backend& backend : backends) {
    const bool full = &backend != &backends[backends.size() / 3];
    backend.max_sessions = full ? 1 : 1'000'000;
    backend.load->set_max_sessions(backend.max_sessions);
    if (full) held.push_back(Lease::take(backend.load));
  }
  const auto pool =
      Pool::build(settings_of(balance), std::move(backends), nullptr, std::make_shared<PoolLoad>(1, "web"));
  const std::vector<ClientAddress> from = clients();
  std::array<Lease, 64> leases;
  std::size_t i = 0;
  for (auto _ : state) {
    const Backend* const backend = pool->pick({from[i % from.size()], {}});
    leases[i++ % leases.size()] = Lease::take(backend->load);
  }
  state.SetItemsProcessed(state.iterations());
}

void lease(benchmark::State& state) {
  const std::vector<Backend> backends = backends_of(state.range(0), false);
  std::array<Lease, 64> leases;
  std::size_t i = 0;
  std::size_t next = 0;
  for (auto _ : state) {
    leases[i++ % leases.size()] = Lease::take(backends[next].load);
    if (++next == backends.size()) next = 0;
  }
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->RangeMultiplier(10)->Range(10, 10'000)->ThreadRange(1, 2)->UseRealTime();
}

}  // namespace

BENCHMARK_CAPTURE(pick, round_robin, "round_robin")->Apply(sizes);
BENCHMARK_CAPTURE(pick, least_connections, "least_connections")->Apply(sizes);
BENCHMARK_CAPTURE(pick, source_hash, "source_hash")->Apply(sizes);
BENCHMARK_CAPTURE(pick_random_weights, round_robin, "round_robin")->Apply(sizes);
BENCHMARK_CAPTURE(pick_random_weights, least_connections, "least_connections")->Apply(sizes);
BENCHMARK_CAPTURE(pick_random_weights, source_hash, "source_hash")->Apply(sizes);
BENCHMARK_CAPTURE(pick_and_retry, source_hash, "source_hash")->Arg(10)->Arg(1000)->Arg(10'000);
BENCHMARK_CAPTURE(pick, random_two, "random_two")->Apply(sizes);
BENCHMARK_CAPTURE(pick, least_time, "least_time")->Apply(sizes);
BENCHMARK_CAPTURE(pick, first, "first")->Apply(sizes);
BENCHMARK_CAPTURE(pick_of_full, round_robin, "round_robin")->Arg(10)->Arg(1000)->Arg(10'000);
BENCHMARK_CAPTURE(pick_of_full, least_connections, "least_connections")->Arg(10)->Arg(1000)->Arg(10'000);
BENCHMARK_CAPTURE(pick_of_full, source_hash, "source_hash")->Arg(10)->Arg(1000)->Arg(10'000);
BENCHMARK_CAPTURE(pick_of_full, random_two, "random_two")->Arg(10)->Arg(1000)->Arg(10'000);
BENCHMARK_CAPTURE(pick_of_full, first, "first")->Arg(10)->Arg(1000)->Arg(10'000);
BENCHMARK(lease)->Arg(10)->Arg(1000)->Arg(10'000);
