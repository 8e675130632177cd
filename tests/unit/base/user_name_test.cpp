#include "lb/base/user_name.h"

#include <catch2/catch.hpp>

using namespace weir;

TEST_CASE("a user has the name of /etc/passwd, else a number") {
  CHECK(user_name(0) == "root");
  CHECK(user_name(1'234'567) == "uid 1234567");
}

TEST_CASE("what is no user's name is not taken for one") {
  CHECK(is_user_name("ann-2.b_c"));
  CHECK_FALSE(is_user_name(""));
  CHECK_FALSE(is_user_name("-ann"));
  CHECK_FALSE(is_user_name("ann\n"));
  CHECK_FALSE(is_user_name("a b"));
  CHECK_FALSE(is_user_name(std::string(33, 'a')));
}
