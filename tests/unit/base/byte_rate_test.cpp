#include "lb/base/byte_rate.h"

#include <catch2/catch.hpp>

using namespace weir;

TEST_CASE("bytes a second are read in units of 1000 and of 1024, and shown in the largest that fits") {
  CHECK(parse_byte_rate("0") == 0u);
  CHECK(parse_byte_rate("1KB") == 1'000u);
  CHECK(parse_byte_rate("1KiB") == 1'024u);
  CHECK(parse_byte_rate("2048B") == 2'048u);
  CHECK(parse_byte_rate("1.5MB") == 1'500'000u);
  CHECK(parse_byte_rate("10MiB") == 10'485'760u);
  CHECK(parse_byte_rate("2GB") == 2'000'000'000u);
  CHECK(parse_byte_rate("1GiB") == 1'073'741'824u);
  CHECK(format_byte_rate(0) == "0");
  CHECK(format_byte_rate(10'485'760) == "10MiB");
  CHECK(format_byte_rate(1'500'000) == "1500KB");
  CHECK(format_byte_rate(1'001) == "1001B");
}

TEST_CASE("what is no rate of bytes is told what one is") {
  for (const char* text :
       {"", "5", "KB", "-5KB", "5kb", "5 KB", "5KB/s", "nanKB", "infKB", "1e3KB", "+5KB"}) {
    CAPTURE(text);
    const auto rate = parse_byte_rate(text);
    REQUIRE_FALSE(rate);
    CHECK(rate.error().message.find("is no number of bytes a second") != std::string::npos);
  }
  for (const char* text : {"999B", "0KB", "1001GB", "99999999999999GB"}) {
    CAPTURE(text);
    const auto rate = parse_byte_rate(text);
    REQUIRE_FALSE(rate);
    CHECK(rate.error().message ==
          "\"" + std::string(text) + "\" must be 1KB to 1000GB a second, or \"0\" for no limit");
  }
}
