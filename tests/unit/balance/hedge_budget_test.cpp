#include "lb/balance/hedge_budget.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace weir;

namespace {

std::uint64_t taken(HedgeBudget& budget, std::uint64_t now_ms, int tries) {
  std::uint64_t count = 0;
  while (tries-- > 0) count += budget.take(now_ms) ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("one connect in ten may be hedged, and none before ten have been") {
  HedgeBudget budget;
  CHECK_FALSE(budget.take(5'000));
  for (int i = 0; i < 9; ++i) budget.count_connect(5'000);
  CHECK_FALSE(budget.take(5'000));
  budget.count_connect(5'999);
  CHECK(taken(budget, 5'999, 3) == 1);
  for (int i = 0; i < 90; ++i) budget.count_connect(6'000);
  CHECK(taken(budget, 6'500, 20) == 9);
}

TEST_CASE("what was ten seconds ago counts no more, for or against") {
  HedgeBudget budget;
  for (int i = 0; i < 100; ++i) budget.count_connect(1'000);
  CHECK(taken(budget, 1'000, 5) == 5);
  CHECK(taken(budget, 10'999, 20) == 5);
  CHECK_FALSE(budget.take(11'000));
  for (int i = 0; i < 50; ++i) budget.count_connect(19'000);
  CHECK_FALSE(budget.take(19'999));  // five were in the tenth second
  CHECK(taken(budget, 20'000, 20) == 5);
}

TEST_CASE("the clock may have run for years, and a second may have more connects than are counted") {
  HedgeBudget budget;
  const std::uint64_t late = (std::uint64_t{1} << 24) * 1'000 - 1'000;
  for (int i = 0; i < 10; ++i) budget.count_connect(late);
  CHECK(taken(budget, late + 1'000, 5) == 1);
  for (int i = 0; i < 1'100'000; ++i) budget.count_connect(late + 1'000);
  CHECK(budget.take(late + 1'000));
}

TEST_CASE("threads together take no more than their share") {
  HedgeBudget budget;
  for (int i = 0; i < 1'000; ++i) budget.count_connect(1'000);
  std::vector<std::uint64_t> took(4);
  std::vector<std::thread> threads;
  for (auto& mine : took) threads.emplace_back([&] { mine = taken(budget, 1'000, 1'000); });
  for (auto& thread : threads) thread.join();
  // Who finds that another was faster gives way: of the last one, both may have.
  const std::uint64_t all = took[0] + took[1] + took[2] + took[3];
  CHECK(all <= 100);
  CHECK(all + taken(budget, 1'000, 100) == 100);
}
