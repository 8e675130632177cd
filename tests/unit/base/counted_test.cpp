#include "lb/base/counted.h"

#include <catch2/catch.hpp>

using namespace weir;

TEST_CASE("one is one, and all else are many") {
  CHECK(counted(0, "session") == "0 sessions");
  CHECK(counted(1, "session") == "1 session");
  CHECK(counted(21, "backend") == "21 backends");
  CHECK(sessions_go_on(1) == "1 session goes on");
  CHECK(sessions_go_on(2) == "2 sessions go on");
}
