#include "lb/base/nearest.h"

#include <catch2/catch.hpp>
#include <string>

using namespace weir;

TEST_CASE("the distance of two names is the number of edits between them") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("weight", "weight") == 0);
  CHECK(edit_distance("wieght", "weight") == 1);
  CHECK(edit_distance("WEIGHT", "weight") == 0);
  CHECK(edit_distance("weigh", "weight") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance(std::string(100'000, 'a'), std::string(100'000, 'b')) == 128);
}

TEST_CASE("the nearest of several names is the first with the fewest edits") {
  const std::string_view names[] = {"drain", "disable", "enable", "explain"};
  CHECK(nearest("drian", names) == "drain");
  CHECK(nearest("enabled", names) == "enable");
  CHECK(nearest("x", {}).empty());
}

TEST_CASE("a name is near when a third of it differs at most") {
  CHECK(is_near("wieght", "weight"));
  CHECK(is_near("tpc", "tcp"));
  CHECK_FALSE(is_near("maglev", "round_robin"));
  CHECK_FALSE(is_near("zone", "name"));
  CHECK_FALSE(is_near("x", ""));
}
