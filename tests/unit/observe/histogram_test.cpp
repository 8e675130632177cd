#include "lb/observe/histogram.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

TEST_CASE(
    "a time is in the bucket that ends above it, and no bucket is wider than a quarter of what it holds") {
  for (std::uint64_t us = 0; us < 110'000'000; us = us * 21 / 20 + 1) {
    const std::chrono::microseconds time(us);
    const auto bucket = time_buckets::of(time);
    CAPTURE(us, bucket);
    REQUIRE(bucket < time_buckets::kCount);
    if (bucket + 1 < time_buckets::kCount) REQUIRE(time < time_buckets::end_of(bucket));
    if (bucket > 0) REQUIRE(time >= time_buckets::end_of(bucket - 1));
    if (bucket > 0 && bucket + 1 < time_buckets::kCount)
      REQUIRE(time_buckets::end_of(bucket) - time_buckets::end_of(bucket - 1) <=
              time_buckets::end_of(bucket - 1) / 4 + 1us);
  }
  CHECK(time_buckets::of(-1us) == 0);
  CHECK(time_buckets::of(1h) == time_buckets::kCount - 1);
}

TEST_CASE("quantiles are the ends of the buckets that hold them") {
  TimeHistogram one, other;
  for (int i = 0; i < 98; ++i) one.record(300us);
  other.record(5ms);
  other.record(200s);
  TimeCounts sum;
  CHECK_FALSE(sum.quantile(0.5));
  (sum += one) += other;
  CHECK(sum.total() == 100);
  CHECK(sum.quantile(0.5) == time_buckets::end_of(time_buckets::of(300us)));
  CHECK(sum.quantile(0.99) == time_buckets::end_of(time_buckets::of(5ms)));
  CHECK(sum.quantile(1) == time_buckets::end_of(time_buckets::kCount - 2));
  TimeCounts later = sum;
  one.record(1s);
  later = TimeCounts();
  (later += one) += other;
  CHECK((later - sum).total() == 1);
  CHECK((later - sum).quantile(0.5) == time_buckets::end_of(time_buckets::of(1s)));
}
