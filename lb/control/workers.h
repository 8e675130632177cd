#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "lb/balance/session_info.h"
#include "lb/control/counts.h"

namespace weir {

/// What the control room asks of the workers; the daemon's wiring implements it with posts to each of them.
/// Control thread: callbacks come on it, later, each exactly once, and none after the Workers object is gone.
class Workers {
 public:
  virtual ~Workers() = default;

  /// At most `limit` sessions, those that come first by `order`; `found` counts those beyond it too.
  using Listed = std::function<void(std::vector<SessionInfo> sessions, std::uint64_t found)>;
  virtual void list_sessions(const SessionFilter& filter, SessionOrder order, std::size_t limit,
                             Listed done) = 0;

  /// Of every client address that has one, in no order.
  using Counted = std::function<void(std::vector<ClientSessions> clients)>;
  virtual void count_by_client(const SessionFilter& filter, Counted done) = 0;

  /// Of every client whose sessions its listener limits.
  using LimitedCounted = std::function<void(SessionsByClient sessions)>;
  virtual void count_limited(LimitedCounted done) = 0;

  /// How long the session of each backend has been idle that has been so for longest.
  using Idled = std::function<void(std::unordered_map<BackendId, Millis> longest)>;
  virtual void longest_idle(Idled done) = 0;

  /// Ends at most `limit` sessions (over all workers) and says how many.
  using Killed = std::function<void(std::uint64_t killed)>;
  virtual void kill_sessions(const SessionFilter& filter, std::uint64_t limit, End how, Killed done) = 0;
};

}  // namespace weir
