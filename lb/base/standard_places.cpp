#include "lb/base/standard_places.h"

#include <unistd.h>

#include <cstdlib>

namespace weir {

namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

StandardPlaces standard_places(const PlacesOf& whose) {
  StandardPlaces places;
  if (whose.root || whose.system_runs) return places;
  if (whose.runtime_dir.starts_with('/')) places.admin_socket = whose.runtime_dir + "/weir/weir.sock";
  if (whose.system_state) return places;
  if (whose.state_home.starts_with('/'))
    places.state_file = whose.state_home + "/weir/state.json";
  else if (whose.home.starts_with('/'))
    places.state_file = whose.home + "/.local/state/weir/state.json";
  return places;
}

StandardPlaces standard_places() {
  return standard_places({.root = ::geteuid() == 0,
                          .system_runs = ::access("/run/weir", F_OK) == 0,
                          .system_state = ::access("/var/lib/weir", W_OK | X_OK) == 0,
                          .runtime_dir = variable("XDG_RUNTIME_DIR"),
                          .state_home = variable("XDG_STATE_HOME"),
                          .home = variable("HOME")});
}

}  // namespace weir
