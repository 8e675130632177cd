#include "lb/admit/rate.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace weir;
using namespace std::chrono_literals;

namespace {

constexpr Rate::Time kStart = 1000s;

/// How many of `asked` are given at `now`.
int take(TokenBucket& bucket, const Rate& rate, Rate::Time now, int asked) {
  int given = 0;
  for (; asked > 0; --asked) given += bucket.take(rate, now) ? 1 : 0;
  return given;
}

}  // namespace

TEST_CASE("a rate is a number of a second, a minute or an hour; its burst is a second's worth") {
  CHECK(parse_rate("20/s", 0) == Rate{50ms, 20});
  CHECK(parse_rate("600/m", 0) == Rate{100ms, 10});
  CHECK(parse_rate("5000/h", 0) == Rate{720ms, 1});
  CHECK(parse_rate("1/h", 0) == Rate{1h, 1});
  CHECK(parse_rate("1000000/s", 0) == Rate{1us, 1'000'000});
  CHECK(parse_rate("20/s", 5) == Rate{50ms, 5});
  CHECK_FALSE(parse_rate("", 0)->is_limited());
  for (const char* text : {"20", "/s", "20/", "20/d", "20/sec", "0/s", "-1/s", "+1/s", "1.5/s", " 1/s",
                           "1/s ", "1000001/s", "99999999999/s", "x/s"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rate(text, 0));
  }
  CHECK_FALSE(parse_rate("1/s", 1'000'001));
}

TEST_CASE("a bucket gives its burst at once, and then a token each interval") {
  const Rate rate{100ms, 3};
  TokenBucket bucket;
  CHECK(take(bucket, rate, kStart, 10) == 3);
  CHECK(bucket.wait(rate, kStart) == 100ms);
  CHECK(take(bucket, rate, kStart + 99ms, 10) == 0);
  CHECK(bucket.wait(rate, kStart + 99ms) == 1ms);
  CHECK(take(bucket, rate, kStart + 100ms, 10) == 1);
  CHECK(take(bucket, rate, kStart + 350ms, 10) == 2);
  CHECK(bucket.wait(rate, kStart + 350ms) == 50ms);
  CHECK(take(bucket, rate, kStart + 1h, 10) == 3);
  bucket.give_back(rate);
  CHECK(bucket.wait(rate, kStart + 1h) == 0ms);
  CHECK(take(bucket, rate, kStart + 1h, 10) == 1);
  CHECK(take(bucket, Rate(), kStart + 1h, 10) == 10);
}

TEST_CASE("a bucket that another rate has emptied is empty, and no worse") {
  TokenBucket bucket;
  CHECK(take(bucket, Rate{1h, 100}, kStart, 200) == 100);
  const Rate fast{50ms, 20};
  CHECK(take(bucket, fast, kStart, 10) == 0);
  CHECK(bucket.wait(fast, kStart) == 50ms);
}

TEST_CASE("a bucket gives no token twice, whoever asks") {
  const Rate rate{1ms, 10'000};
  TokenBucket bucket;
  std::atomic<int> given{0};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { given += take(bucket, rate, kStart, 4'000); });
  for (auto& thread : threads) thread.join();
  CHECK(given == 10'000);
}
