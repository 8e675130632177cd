#include "bench/load/size.h"

#include <catch2/catch.hpp>

namespace weir::load {

TEST_CASE("a size is exact to the byte, in thousands and in powers of 1024") {
  CHECK(parse_size("64Mi") == 67'108'864.0);
  CHECK(parse_size("65537") == 65'537.0);
  CHECK(parse_size("1.5G") == 1.5e9);
  CHECK(parse_size("3k") == 3000.0);
}

TEST_CASE("what is not a size is refused") {
  for (const char* text : {"", "k", "0", "-1", "1.5.2", "5X", "5 k", "1e9", "nan", "inf", "2000000Gi"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text));
  }
}

}  // namespace weir::load
