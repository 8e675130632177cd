#include "lb/base/duration.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

TEST_CASE("a duration is a number and a unit") {
  const auto [text, expected] = GENERATE(table<std::string, Millis>({{"500ms", 500ms},
                                                                     {"1.5s", 1500ms},
                                                                     {"10m", 600s},
                                                                     {"2h", 7200s},
                                                                     {"0s", 0ms},
                                                                     {"0.1ms", 1ms},
                                                                     {"10000h", 10000h}}));
  CAPTURE(text);
  REQUIRE(parse_duration(text).has_value());
  CHECK(*parse_duration(text) == expected);
}

TEST_CASE("what is not a duration is refused") {
  const std::string text = GENERATE("", "5", "s", "-1s", "+1s", "1 s", "1.s", ".5s", "1e3s", "1d", "10001h",
                                    "99999999999999999999h", "1.2.3s", "1sec", "nan s", "inf");
  CAPTURE(text);
  CHECK_FALSE(parse_duration(text).has_value());
}

TEST_CASE("a duration is written in the shortest exact form") {
  CHECK(format_duration(1500ms) == "1500ms");
  CHECK(format_duration(2s) == "2s");
  CHECK(format_duration(600s) == "10m");
  CHECK(format_duration(0ms) == "0s");
}
