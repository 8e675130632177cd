#include "health/attendance.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

TEST_CASE("a loop that wakes when it said has not been away") {
  Attendance attendance;
  attendance.sleep(10s, 1s);
  attendance.wake(11s + 5ms);
  attendance.sleep(11s + 5ms, 1s);
  attendance.wake(11s + 100ms);
  CHECK(attendance.absence() == 0s);
}

TEST_CASE("a loop that wakes late has been away since it should have woken") {
  Attendance attendance;
  attendance.sleep(10s, 100ms);
  attendance.wake(20s);
  CHECK(attendance.absence() == 9900ms);
  attendance.sleep(20s, 100ms);
  attendance.wake(20s + 300ms);
  CHECK(attendance.absence() == 10'100ms);
}

TEST_CASE("a loop that waits for nothing in particular cannot be late") {
  Attendance attendance;
  attendance.sleep(10s, -1ns);
  attendance.wake(1h);
  CHECK(attendance.absence() == 0s);
}
