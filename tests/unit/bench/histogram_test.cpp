#include "bench/load/histogram.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

namespace weir::load {

namespace {

// What the histogram promises to be close to: the value at rank ceil(fraction * n).
std::uint64_t true_percentile(const std::vector<std::uint64_t>& sorted, double fraction) {
  const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

}  // namespace

TEST_CASE("a percentile is never below the true one and at most 1/128 above it") {
  std::mt19937_64 random(GENERATE(1U, 2U, 3U));
  const auto histogram = std::make_unique<Histogram>();
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    // All magnitudes alike: the number of bits is drawn first.
    const std::uint64_t bits = random() % 42;
    values.push_back(random() & ((std::uint64_t{2} << bits) - 1));
    histogram->record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double fraction : {0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0}) {
    const std::uint64_t exact = true_percentile(values, fraction);
    const std::uint64_t found = histogram->percentile(fraction);
    CAPTURE(fraction, exact, found);
    CHECK(found >= exact);
    CHECK(found - exact <= exact / 128);
  }
}

TEST_CASE("values below 256 are exact, and so are minimum, maximum, mean and count") {
  const auto histogram = std::make_unique<Histogram>();
  for (std::uint64_t value = 0; value < 256; ++value) histogram->record(value);
  CHECK(histogram->percentile(0.5) == 127);
  CHECK(histogram->percentile(0.25) == 63);
  histogram->record(1'000'003);
  CHECK(histogram->count() == 257);
  CHECK(histogram->min() == 0);
  CHECK(histogram->max() == 1'000'003);
  CHECK(histogram->percentile(1.0) == 1'000'003);
  CHECK(histogram->mean() == Approx((255.0 * 128 + 1'000'003) / 257));
}

TEST_CASE("every power of two and its neighbours keep within the error bound") {
  for (unsigned bit = 0; bit < 42; ++bit) {
    for (const std::uint64_t value : {(std::uint64_t{1} << bit) - 1, std::uint64_t{1} << bit}) {
      const auto histogram = std::make_unique<Histogram>();
      histogram->record(value);
      histogram->record(Histogram::kLargest);  // so that the maximum does not hide the bucket's bound
      CAPTURE(value);
      CHECK(histogram->percentile(0.5) >= value);
      CHECK(histogram->percentile(0.5) - value <= value / 128);
    }
  }
}

TEST_CASE("a value over the largest is counted as the largest") {
  const auto histogram = std::make_unique<Histogram>();
  histogram->record(Histogram::kLargest + 1);
  CHECK(histogram->max() == Histogram::kLargest);
  CHECK(histogram->percentile(0.5) == Histogram::kLargest);
}

TEST_CASE("an empty histogram answers zero") {
  const auto histogram = std::make_unique<Histogram>();
  CHECK(histogram->percentile(0.99) == 0);
  CHECK(histogram->min() == 0);
  CHECK(histogram->mean() == 0);
}

}  // namespace weir::load
