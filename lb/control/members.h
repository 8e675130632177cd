#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lb/balance/agent_state.h"
#include "lb/balance/table.h"
#include "lb/config/config.h"
#include "lb/control/latency_window.h"
#include "lb/control/pool_verdict.h"
#include "lb/control/rate_window.h"
#include "lb/control/standing.h"

namespace weir {

/// One backend of a pool: what the file (or `weir add`) says of it, and what is known of its place. What the
/// operator says of it is kept elsewhere (OperatorWords).
struct Entry {
  BackendConfig file;  ///< of a run-time member: what `add` said
  bool added = false;  ///< at run time
  bool out = false;    ///< removed by an operator until the next reload
  /// Since when the file's `admin` is in force: read, or an override taken away.
  std::chrono::system_clock::time_point admin_since;
  Standing standing;
  AgentState agent;                                   ///< with agent_port
  std::chrono::system_clock::time_point agent_since;  ///< when its words became what they are
  std::shared_ptr<BackendLoad> load;
  RateWindow rate;                   ///< of its sessions
  RateWindow to_backend, to_client;  ///< of its bytes
  LatencyWindow connects, first_bytes;
};

struct PoolEntry {
  PoolConfig config;
  std::shared_ptr<PoolLoad> load;
  std::vector<Entry> entries;
  /// Backends that are none of its own (a leaver's or another pool's) and serve its sessions as long as no
  /// own one is eligible and one has had no verdict yet.
  std::vector<BackendId> stand_ins;
  std::shared_ptr<const Pool> built;
  PoolVerdict verdict = PoolVerdict::Unknown;  ///< of `built`
  std::chrono::system_clock::time_point verdict_since;

  const ProbeConfig& probe_of(const Entry& entry) const { return config.probe_of(entry.file); }
  bool has_agent(const Entry& entry) const { return probe_of(entry).agent_port != 0; }
  bool probes(const Entry& entry) const { return probe_of(entry).kind != "none"; }
};

/// Who is in which pool now. Knows nothing of those who have left, and nothing of what is published.
struct Members {
  std::vector<PoolEntry> pools;

  PoolEntry* find_pool(std::string_view name);
  const PoolEntry* find_pool(std::string_view name) const;
  struct Place {
    PoolEntry* pool;
    Entry* entry;
  };
  /// Not those that are `out`, here and below. Of thousands each is found at once, whoever has moved since.
  std::optional<Place> find(BackendId id);
  /// For many questions at once. Valid until the members change.
  std::unordered_map<BackendId, Place> by_id();

 private:
  struct Numbers {
    std::size_t pool, entry;
  };
  /// Where each was when one was last found elsewhere.
  std::unordered_map<BackendId, Numbers> last_seen_;
};

}  // namespace weir
