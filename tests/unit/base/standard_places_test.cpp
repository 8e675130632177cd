#include "lb/base/standard_places.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

const PlacesOf kUser{.runtime_dir = "/run/user/7", .state_home = "/home/u/state", .home = "/home/u"};

}  // namespace

TEST_CASE("root's places are the system's, and so are everybody's where there is a /run/weir") {
  for (const bool root : {true, false}) {
    PlacesOf whose = kUser;
    (root ? whose.root : whose.system_runs) = true;
    CHECK(standard_places(whose).admin_socket == "/run/weir/weir.sock");
    CHECK(standard_places(whose).state_file == "/var/lib/weir/state.json");
  }
}

TEST_CASE("an ordinary user's places are in the user's own directories") {
  CHECK(standard_places(kUser).admin_socket == "/run/user/7/weir/weir.sock");
  CHECK(standard_places(kUser).state_file == "/home/u/state/weir/state.json");
  PlacesOf whose = kUser;
  whose.state_home = "not/absolute";
  CHECK(standard_places(whose).state_file == "/home/u/.local/state/weir/state.json");
  whose.home = "";
  whose.runtime_dir = "";
  CHECK(standard_places(whose).admin_socket == "/run/weir/weir.sock");
  CHECK(standard_places(whose).state_file == "/var/lib/weir/state.json");
}

TEST_CASE("whoever may write /var/lib/weir keeps the state there") {
  PlacesOf whose = kUser;
  whose.system_state = true;
  CHECK(standard_places(whose).admin_socket == "/run/user/7/weir/weir.sock");
  CHECK(standard_places(whose).state_file == "/var/lib/weir/state.json");
}
