#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lb/balance/listener_load.h"
#include "lb/control/departed.h"
#include "lb/control/pool_verdict.h"

namespace weir {

/// Whose counts are to be told and how things stand, put together in no time: the counts themselves are read
/// later, on any thread.
struct MetricsView {
  struct Backend {
    std::string name = {};  ///< "-" = those that have left long ago
    /// Those that have had this name, the present one first.
    std::vector<std::shared_ptr<const BackendLoad>> loads = {};
    Departed::Counted rest = {};  ///< what else: of "-", and of older processes
    std::uint64_t active_elsewhere = 0;
    bool member = false;  ///< the following means something
    Health health = Health::Unknown;
    Admin admin = Admin::Enabled;
  };
  struct Pool {
    std::string name = {};
    bool removed = false;
    PoolVerdict verdict = PoolVerdict::Unknown;
    std::shared_ptr<const PoolLoad> load = nullptr;
    bool hedges = false;
    std::vector<Backend> backends = {};
  };
  struct Listener {
    std::shared_ptr<const ListenerLoad> load = nullptr;  ///< with one pool
    bool served = false;                                 ///< it is in the configuration, with this pool
  };
  std::vector<Pool> pools;
  std::vector<Listener> listeners;
  Counts elders;  ///< of listeners what counts here; of backends it is theirs already
  std::uint64_t generation = 0;
  std::chrono::system_clock::time_point oldest_override;  ///< the epoch: there is none
};

}  // namespace weir
