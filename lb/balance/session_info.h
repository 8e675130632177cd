#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/admit/network.h"
#include "lb/balance/backend.h"
#include "lb/base/address.h"
#include "lb/base/duration.h"

namespace weir {

class Door;

/// What listeners ask of their clients, by their names; null: nothing.
using DoorsByListener = std::map<std::string, std::shared_ptr<const Door>, std::less<>>;

/// A session's name: the worker it lives on, and its number there. Never reused while the process lives.
struct SessionId {
  std::uint32_t worker = 0;
  std::uint64_t number = 0;

  std::string to_string() const;  ///< "2-1f"
  static std::optional<SessionId> parse(std::string_view text);
  friend auto operator<=>(const SessionId&, const SessionId&) = default;
};

/// One live session as an operator sees it.
struct SessionInfo {
  SessionId id;
  std::string listener;
  ClientAddress client;
  std::string pool;
  std::string backend;  ///< empty while none is picked
  std::string_view
      state;  ///< "queued", "connecting", "relaying", "half_closed", "closing"; of static storage
  Millis age{0};
  Millis idle{0};
  std::uint64_t bytes_to_backend = 0;
  std::uint64_t bytes_to_client = 0;
};

/// Which sessions come first.
enum class SessionOrder : std::uint8_t { None, Bytes, Age, Idle };

/// How much, by that order: the most comes first.
std::uint64_t rank(SessionOrder order, std::uint64_t bytes, std::chrono::nanoseconds age, Millis idle);

/// The sessions of one client address, counted together.
struct ClientSessions {
  std::string client;  ///< "203.0.113.9", "unix"
  std::uint64_t sessions = 0;
  std::uint64_t bytes_to_backend = 0;
  std::uint64_t bytes_to_client = 0;
};

/// Which sessions are meant: those that pass every part that is given. Copied to the workers.
struct SessionFilter {
  std::optional<std::vector<SessionId>> ids;  ///< sorted; an empty list means nobody
  std::optional<std::string> pool;            ///< a glob
  std::optional<std::string> backend;         ///< a glob
  std::optional<BackendId> backend_id;
  std::optional<Network> client;
  // What only the session's worker can tell: whoever applies the filter asks it.
  std::optional<std::chrono::nanoseconds> accepted_before;  ///< by the monotonic clock
  bool denied = false;  ///< those that the rules in force would not let in
  /// The rules of those listeners that are in force in the process that has taken over from this one. Null:
  /// there is none.
  std::shared_ptr<const DoorsByListener> doors;
  bool movable = false;  ///< those between a client and a backend, both of which go on; of pools by
                         ///< source_hash only where the client would now get another backend

  /// `load` is null for a session without a backend.
  bool matches(const SessionId& id, std::string_view pool_name, const BackendLoad* load,
               const ClientAddress& address) const;
};

}  // namespace weir
