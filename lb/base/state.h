#pragma once

#include <cstdint>
#include <string_view>

namespace weir {

/// The operator's word about a backend. Written by the control thread only.
enum class Admin : std::uint8_t { Enabled, Drained, Disabled };

/// What the checker knows about a backend. Never overrules Admin, nor the other way round.
enum class Health : std::uint8_t { Unknown, Up, Down };

/// How a session ended, in the words of the access log.
enum class End : std::uint8_t {
  Done,
  ClientReset,
  BackendReset,
  Idle,
  HalfCloseIdle,
  NoBackend,
  ConnectFailed,
  ClientGone,
  Killed,
  Shutdown
};

constexpr std::string_view to_string(Admin admin) {
  constexpr std::string_view kNames[] = {"enabled", "drained", "disabled"};
  return kNames[static_cast<std::size_t>(admin)];
}

constexpr std::string_view to_string(Health health) {
  constexpr std::string_view kNames[] = {"unknown", "up", "down"};
  return kNames[static_cast<std::size_t>(health)];
}

constexpr std::string_view to_string(End end) {
  constexpr std::string_view kNames[] = {
      "done",       "client_reset",   "backend_reset", "idle",   "half_close_idle",
      "no_backend", "connect_failed", "client_gone",   "killed", "shutdown"};
  return kNames[static_cast<std::size_t>(end)];
}

}  // namespace weir
