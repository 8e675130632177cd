#include "lb/cli/sparklines.h"

#include <catch2/catch.hpp>

using namespace weir;

TEST_CASE("a sparkline has the newest at the right and shows what is not nothing") {
  Sparklines history;
  CHECK(history.sparkline("web/a", &SparkSample::active, 3) == "   ");
  for (const double active : {0.0, 1.0, 50.0, 100.0}) history.add({{"web/a", {.active = active}}});
  CHECK(history.sparkline("web/a", &SparkSample::active, 6) == "  ▁▂▅█");
  CHECK(history.sparkline("web/a", &SparkSample::active, 2) == "▅█");
  CHECK(history.most("web/a", &SparkSample::active, 6) == 100);
  CHECK(history.sparkline("web/a", &SparkSample::bytes, 2) == "▁▁");
}

TEST_CASE("a history is bounded, and forgets whoever has left") {
  Sparklines history;
  history.add({{"web/a", {.active = 1000}}, {"web/b", {.active = 1}}});
  for (std::size_t i = 0; i < Sparklines::kMost; ++i) history.add({{"web/a", {.active = 1}}});
  CHECK(history.most("web/a", &SparkSample::active, 10'000) == 1);
  CHECK(history.sparkline("web/b", &SparkSample::active, 1) == " ");
}
