#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lb/balance/agent_state.h"
#include "lb/base/error.h"
#include "lb/config/config.h"
#include "lb/control/counts.h"
#include "lb/control/pool_verdict.h"
#include "lb/control/standing.h"

namespace weir {

/// What a process knows and has counted, as plain data: an upgrade hands it on, so that the new process goes
/// on where the old one is. By names, for ids mean nothing in another process.
struct Legacy {
  struct Backend {
    BackendConfig file;  ///< `admin` is not handed on: of a member of the file the text says it
    bool added = false;
    bool out = false;
    std::chrono::system_clock::time_point admin_since;
    Standing standing;
    AgentState agent;
    std::chrono::system_clock::time_point agent_since;
    Totals totals;
    Tally tally;
    std::uint32_t active = 0;  ///< sessions that it has with it now
  };
  /// Who serves a pool that has nobody yet: a member of another pool, or one that has left, of which `file`,
  /// `standing` and `active` say all that counts.
  struct StandIn {
    std::string pool;  ///< its own
    Backend backend;
    bool probed_as_pool = false;  ///< as its pool's members are by now; else nobody probes it any more
  };
  struct Pool {
    std::string name;
    PoolVerdict verdict = PoolVerdict::Unknown;
    std::chrono::system_clock::time_point verdict_since;  ///< the epoch: not known
    std::vector<Backend> backends;
    std::vector<StandIn> stand_ins;
  };
  struct Listener {
    std::string name;
    std::string pool;
    std::uint64_t total = 0;
    ListenerTally tally;
  };
  /// A backend that has left and whose counts are still told (Departed).
  struct Gone {
    std::string pool;
    std::string name;  ///< "-" = those that have left long ago
    std::string address;
    Totals totals;
    Tally tally;
    BackendId id = 0;  ///< in this process only
  };

  std::string file;  ///< Config::file and Config::text of the configuration in force
  std::string text;
  std::vector<Pool> pools;
  std::vector<Listener> listeners;
  std::vector<Gone> gone;
  SessionsByClient clients;  ///< that have a limit, by listener and client
};

/// As text, and back. `now` is the same clock's reading in either process: slow starts go on.
std::string format_legacy(const Legacy& legacy, std::chrono::steady_clock::time_point now);
Result<Legacy> parse_legacy(std::string_view text, std::chrono::steady_clock::time_point now);

}  // namespace weir
