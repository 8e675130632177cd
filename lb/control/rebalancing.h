#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lb/balance/table.h"
#include "lb/control/commands.h"
#include "lb/control/workers.h"
#include "lb/net/timer.h"

namespace weir {

/// A backend that has more than its share of its pool's sessions.
struct Excess {
  BackendId id = 0;
  std::uint64_t sessions = 0;  ///< beyond ceil(to × share)
};

/// Those of a pool that may get new sessions, and backups that still have some while primaries serve (they
/// have no share); who has most beyond its share comes first. Shares go by the weights in force, and nobody's
/// is beyond its max_sessions. `to_percent`: of its share, from 100. Shares are of the sessions that all of
/// them have together, or of `of`, if that is more: clients whose sessions were ended have yet to come back.
/// Pure but for the counts.
std::vector<Excess> excess_of(const Pool& pool, std::uint32_t to_percent, std::uint64_t of);
/// How many those have together.
std::uint64_t sessions_of(const Pool& pool);

/// Ends sessions of backends that have more than their share, the oldest first, so that their clients come
/// back to others: in steps on demand (`weir rebalance`), and by itself after a backend has joined or
/// recovered, in pools that want it. No session is ended that has come since it began: clients that come back
/// to where they were are left there. Of this process's sessions only. Control thread only.
class Rebalancing {
 public:
  /// What pool.rebalance stops at.
  static constexpr std::uint32_t kToPercent = 110;
  /// A pool in which nothing could be ended for so long is left as it is.
  static constexpr std::chrono::seconds kGiveUpAfter{10};
  static constexpr Millis kStep{200};

  /// What the rounds of one rebalancing have in common: the first finds out.
  struct Terms {
    std::uint32_t to_percent = kToPercent;
    std::uint64_t of = 0;                           ///< sessions by which shares are counted; 0 = not known
    std::optional<std::chrono::nanoseconds> begun;  ///< by the monotonic clock
  };
  struct Round {
    std::uint64_t ended = 0;
    std::uint64_t over = 0;  ///< sessions that are still beyond their backends' shares
    Terms terms;             ///< for the next
  };
  using Done = std::function<void(const Round&)>;

  Rebalancing(Loop& loop, Workers& workers)
      : loop_(loop), workers_(workers), timer_(loop, [this] { step(); }) {}

  /// Why it would be of no use in this pool; nothing: it may be.
  static std::optional<std::string> objection(const Pool& pool);
  /// Ends at most `most` sessions of the pool now.
  void round(const Pool& pool, Terms terms, std::uint64_t most, Done done);

  /// The newest Table: where somebody has joined or recovered, it begins.
  void follow(std::shared_ptr<const Table> table);
  /// Another process has the new sessions from now on.
  void stop();

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Job {
    Terms terms;
    Time begun;
    Time ended_last;
    std::uint64_t ended = 0;
    std::uint64_t asked = 0;  ///< sessions that were to be ended by now
    bool under_way = false;   ///< the workers have not answered yet
  };
  void begin(const std::string& pool);
  void step();
  void step(const Pool& pool, Job& job, Time now);
  void on_round(const std::string& pool, const Round& round);

  Loop& loop_;
  Workers& workers_;
  Timer timer_;
  std::shared_ptr<const Table> table_;
  /// Who may get sessions, by pool: of the Table before.
  std::map<std::string, std::set<BackendId>, std::less<>> eligible_;
  std::map<std::string, Job, std::less<>> jobs_;  ///< by pool
};

}  // namespace weir
