#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

/// Of any limit of sessions: there are 2 descriptors for each, and a process has at most 2^31 of them.
inline constexpr std::uint64_t kMaxSessions = 1'000'000'000;

/// The operator's word about a backend. Written by the control thread only.
enum class Admin : std::uint8_t { Enabled, Drained, Disabled };

/// What the checker knows about a backend. Never overrules Admin, nor the other way round.
enum class Health : std::uint8_t { Unknown, Up, Down };

/// Whether a backend is told who the client is, by a header of which version of the PROXY protocol.
enum class SendProxy : std::uint8_t { Off, V1, V2 };

/// Whether workers poll for what may come before they sleep: when traffic shows that it pays, never, or
/// instead of sleeping.
enum class BusyPoll : std::uint8_t { Auto, Off, Always };

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
  Shutdown,
  Overloaded,
  Lifetime,
  Rebalanced,
  // Not let in: the listener's Door has said no.
  Denied,
  BadHeader,
  BadHello,
  NoRoute,
  ClientLimit,
  ClientRate
};

inline constexpr std::size_t kEnds = 19;

/// It was refused before it was anybody's session.
constexpr bool is_turned_away(End end) {
  return end >= End::Denied;
}

constexpr std::string_view to_string(Admin admin) {
  constexpr std::string_view kNames[] = {"enabled", "drained", "disabled"};
  return kNames[static_cast<std::size_t>(admin)];
}

constexpr std::string_view to_string(Health health) {
  constexpr std::string_view kNames[] = {"unknown", "up", "down"};
  return kNames[static_cast<std::size_t>(health)];
}

constexpr std::string_view to_string(SendProxy version) {
  constexpr std::string_view kNames[] = {"off", "v1", "v2"};
  return kNames[static_cast<std::size_t>(version)];
}

constexpr std::string_view to_string(BusyPoll how) {
  constexpr std::string_view kNames[] = {"auto", "off", "always"};
  return kNames[static_cast<std::size_t>(how)];
}

constexpr std::string_view to_string(End end) {
  constexpr std::string_view kNames[] = {
      "done",       "client_reset",   "backend_reset", "idle",       "half_close_idle",
      "no_backend", "connect_failed", "client_gone",   "killed",     "shutdown",
      "overloaded", "lifetime",       "rebalanced",    "denied",     "bad_header",
      "bad_hello",  "no_route",       "client_limit",  "client_rate"};
  return kNames[static_cast<std::size_t>(end)];
}

}  // namespace weir
