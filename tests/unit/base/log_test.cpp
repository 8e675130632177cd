#include "lb/base/log.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

TEST_CASE("a time is read as it is written") {
  const std::chrono::system_clock::time_point time(1'769'853'600'123ms);
  CHECK(format_time(time) == "2026-01-31T10:00:00.123Z");
  CHECK(parse_time(format_time(time)) == time);
  CHECK(parse_time("2026-01-31T10:00:00Z") == time - 123ms);
  CHECK(parse_time("1970-01-01T00:00:00Z") == std::chrono::system_clock::time_point());
  CHECK(parse_time("2261-12-31T23:59:59.999Z").has_value());
}

TEST_CASE("a time that the system's clock cannot have, or that is none, is not read") {
  for (const char* text : {"", "yesterday", "1013-01-31T10:00:00.123Z", "1969-12-31T23:59:59Z",
                           "2262-01-01T00:00:00Z", "2026-01-31T10:00:00", "2026-01-31T10:00:00.Z",
                           "2026-01-31T10:00:00.1e300Z", "2026-01-31T10:00:00.1Z "})
    CHECK_FALSE(parse_time(text).has_value());
}
