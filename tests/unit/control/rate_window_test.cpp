#include "lb/control/rate_window.h"

#include <catch2/catch.hpp>

using weir::RateWindow;
using namespace std::chrono_literals;

namespace {

const RateWindow::Time kStart{1h};

}  // namespace

TEST_CASE("a rate is that of the last one to two steps, whatever was before") {
  RateWindow window(kStart, 1'000);
  std::uint64_t total = 1'000;
  for (int step = 1; step <= 10; ++step) window.sample(kStart + step * RateWindow::kStep, total += 500);
  CHECK(window.per_second(kStart + 10 * RateWindow::kStep, total) == Approx(100));
  for (int step = 11; step <= 12; ++step) window.sample(kStart + step * RateWindow::kStep, total);
  CHECK(window.per_second(kStart + 12 * RateWindow::kStep, total) == 0);
  CHECK(window.per_second(kStart + 13 * RateWindow::kStep, total + 20) == Approx(2));
}

TEST_CASE("the rate of a counter that has just begun is not blown up") {
  const RateWindow window(kStart, 7);
  CHECK(window.per_second(kStart + 1ms, 8) == Approx(1));
  CHECK(window.per_second(kStart + 2s, 17) == Approx(5));
}

TEST_CASE("samples that come too often do not shrink the window") {
  RateWindow window(kStart, 0);
  for (int i = 1; i <= 100; ++i) window.sample(kStart + i * 1ms, static_cast<std::uint64_t>(i));
  CHECK(window.per_second(kStart + 10s, 100) == Approx(10));
}
