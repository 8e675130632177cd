#include "lb/base/seldom.h"

#include <catch2/catch.hpp>
#include <string>

using namespace weir;

TEST_CASE("a value that is seldom there is copied and compared as a value") {
  Seldom<std::string> none, one(std::string("one"));
  CHECK_FALSE(none);
  REQUIRE(one);
  CHECK(*one == "one");
  CHECK(one->size() == 3);
  Seldom<std::string> copy = one;
  CHECK(copy == one);
  CHECK(&*copy != &*one);
  CHECK_FALSE(copy == none);
  CHECK(none == Seldom<std::string>());
  copy = std::string("two");
  CHECK(*one == "one");
  CHECK_FALSE(copy == one);
  copy = none;
  CHECK_FALSE(copy);
  static_assert(sizeof(Seldom<std::string>) == sizeof(void*));
}
