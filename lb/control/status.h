#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lb/balance/agent_state.h"
#include "lb/balance/backend.h"
#include "lb/balance/wait_for.h"
#include "lb/base/duration.h"
#include "lb/base/state.h"
#include "lb/control/commands.h"
#include "lb/control/pool_verdict.h"
#include "lb/observe/histogram.h"

namespace weir {

/// How long something took of late (LatencyWindow); nothing where there was none.
struct TimeSummary {
  std::optional<std::chrono::microseconds> p50, p99;
};

/// The whole of what Weir serves, as plain data, summed over all workers at one moment.
struct BackendStatus {
  BackendId id = 0;
  std::string name;
  std::string address;
  std::vector<std::string> resolved;  ///< of a host name
  std::uint32_t weight = 1;
  std::uint32_t configured_weight = 1;
  std::uint32_t share_percent = 100;
  bool backup = false;
  Admin admin = Admin::Enabled;
  std::optional<Word<Admin>> admin_word;  ///< an operator's; nothing: the file's
  std::optional<Word<std::uint32_t>> weight_word;
  std::chrono::system_clock::time_point admin_since;
  Admin configured_admin = Admin::Enabled;  ///< what the file says
  Health health = Health::Unknown;
  bool eligible = false;
  bool added = false;    ///< at run time, gone with the next reload
  bool removed = false;  ///< in view until its last session has ended
  std::string reason;
  std::chrono::system_clock::time_point since;
  std::optional<Millis>
      closes_in;  ///< until `drain --then close` begins; less than nothing when it has begun
  std::uint64_t active = 0;
  std::uint32_t max_sessions = 0;  ///< 0 = no limit
  std::uint64_t total = 0;
  double sessions_per_second = 0;    ///< of late: RateWindow
  double to_backend_per_second = 0;  ///< bytes
  double to_client_per_second = 0;
  TimeSummary connects, first_bytes;
  std::optional<Millis> longest_idle;  ///< of its sessions; nothing: it has none, or nobody has looked
  std::optional<AgentState> agent;     ///< what its agent has said; nothing: it has none
  std::chrono::system_clock::time_point agent_since;
  std::vector<std::pair<std::string, std::string>> own_probe;  ///< own_probe_keys()
  std::optional<std::chrono::microseconds> last_probe;         ///< how long it took; nothing: none yet
  std::uint64_t connect_failures = 0;
  std::uint64_t bytes_to_backend = 0;
  std::uint64_t bytes_to_client = 0;
};

struct PoolStatus {
  std::string name;
  std::string balance;
  bool removed = false;
  PoolVerdict verdict = PoolVerdict::Unknown;
  std::chrono::system_clock::time_point verdict_since;
  std::string up;                ///< "1 of 2 up, 1 drained"
  bool limited = false;          ///< some backend may be full: what follows means something
  std::uint64_t queued = 0;      ///< sessions that wait until a backend has room
  std::uint64_t queue = 0;       ///< how many may
  std::uint64_t overloaded = 0;  ///< sessions turned away, since too many waited, or for too long
  bool hedges = false;           ///< hedge_after is set: what follows means something
  std::uint64_t hedged = 0;      ///< connects that got a second one beside them
  std::uint64_t hedges_won = 0;  ///< of these, where the second one was accepted first
  TimeSummary connects, first_bytes;
  std::vector<BackendStatus> backends;
};

struct ListenerStatus {
  std::string name;
  std::vector<std::string> bind;
  std::string pool;
  std::uint64_t max_connections = 0;
  std::uint64_t active = 0;
  std::uint64_t total = 0;
  /// Clients that were not let in, by the word of their end; those of which there are any. Of this process.
  std::vector<std::pair<std::string_view, std::uint64_t>> turned_away = {};
};

struct Status {
  std::uint64_t generation = 0;
  std::uint64_t active = 0;  ///< over all listeners, those that are gone included
  std::uint64_t total = 0;
  std::vector<ListenerStatus> listeners;
  std::vector<PoolStatus> pools;
};

/// Which backend a client would get now, and why.
struct Explanation {
  std::string listener = {};              ///< "" = the pool alone was asked for
  std::string decision = {};              ///< of a listener: "let in", or the word for how it would end
  std::optional<std::size_t> route = {};  ///< from 1, in the file's order
  std::string pool = {};
  std::string client = {};
  std::optional<std::string> backend = {};
  std::optional<WaitFor> waits_for = {};  ///< before it gets one: which, is not known yet
  std::vector<std::string> because = {};
  std::vector<std::pair<std::string, std::string>> excluded = {};  ///< backend, reason
};

}  // namespace weir
