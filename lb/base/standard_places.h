#pragma once

#include <string>

namespace weir {

/// Where the admin socket and the state file are when nobody says otherwise.
struct StandardPlaces {
  std::string admin_socket = "/run/weir/weir.sock";
  std::string state_file = "/var/lib/weir/state.json";
};

/// The system's; for an ordinary user of a host without /run/weir those of the user:
/// $XDG_RUNTIME_DIR/weir/weir.sock, and $XDG_STATE_HOME/weir/state.json ($HOME/.local/state without that one)
/// unless /var/lib/weir is the user's to write. A variable that is not set, or is no absolute path, leaves
/// the system's. The daemon and the commands go by it alike. Reads the environment; any thread.
StandardPlaces standard_places();

/// The same, of anybody: `system_runs`: there is a /run/weir; `system_state`: /var/lib/weir may be written.
struct PlacesOf {
  bool root = false;
  bool system_runs = false;
  bool system_state = false;
  std::string runtime_dir = {}, state_home = {}, home = {};
};
StandardPlaces standard_places(const PlacesOf& whose);

}  // namespace weir
