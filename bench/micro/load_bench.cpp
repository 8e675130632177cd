// Question: how long does it take to read and validate a file of 10, 1,000 or 10,000 backends? A start and
// every reload pay it, on the control thread. Addresses are written as ip:port; names are given or left to
// the default.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <iterator>
#include <string>

#include "lb/base/error.h"
#include "lb/config/load.h"

using namespace weir;

namespace {

std::string file_of(std::int64_t backends, bool named) {
  std::string text =
      "[[listener]]\nname = \"web\"\nbind = \"127.0.0.1:8080\"\npool = \"web\"\n\n[[pool]]\nname = \"web\"\n";
  for (std::int64_t i = 0; i < backends; ++i) {
    text += "\n[[pool.backend]]\n";
    if (named) fmt::format_to(std::back_inserter(text), "name = \"backend-{}\"\n", i);
    fmt::format_to(std::back_inserter(text), "address = \"10.0.{}.{}:8080\"\nweight = {}\n", i / 256, i % 256,
                   1 + i % 256);
  }
  return text;
}

void load(benchmark::State& state, bool named) {
  const std::string text = file_of(state.range(0), named);
  const LoadOptions options{.kinds = {{"round_robin", "least_connections", "source_hash"}, {"tcp", "none"}},
                            .descriptor_limit = 0,
                            .environment = [](std::string_view) { return std::nullopt; },
                            .host_addresses = {},
                            .places = {}};
  for (auto _ : state) {
    const LoadResult result = parse_config(text, "weir.toml", options);
    WEIR_CHECK(result.config != nullptr);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(10)->Arg(1000)->Arg(10'000)->Unit(benchmark::kMillisecond);
}

}  // namespace

BENCHMARK_CAPTURE(load, named, true)->Apply(sizes);
BENCHMARK_CAPTURE(load, by_address, false)->Apply(sizes);
