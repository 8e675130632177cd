#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "lb/balance/backend.h"
#include "lb/control/counts.h"

namespace weir {

/// What backends that are in no pool any more have been counted for: of each for an hour after its last
/// session, then of all of a pool together, so that no sum over a pool's backends ever falls. Control thread
/// only.
class Departed {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::hours kKept{1};
  /// Of more the one that has been idle for longest goes first, before its time.
  static constexpr std::size_t kMost = 4096;

  struct Counted {
    Totals totals;
    Tally tally;
    Counted& operator+=(const Counted& other) {
      totals += other.totals;
      tally += other.tally;
      return *this;
    }
    Counted& operator-=(const Counted& other) {
      totals -= other.totals;
      tally -= other.tally;
      return *this;
    }
    friend bool operator==(const Counted&, const Counted&) = default;
  };

  void add(std::shared_ptr<BackendLoad> load, TimePoint now);
  /// It is in its pool again.
  void take_back(BackendId id) { each_.erase(id); }
  /// What another process has counted for one that is nowhere.
  void add(const std::string& pool, const Counted& counted) { rest_[pool] += counted; }
  /// To be called now and then.
  void tidy(TimePoint now);

  struct One {
    std::shared_ptr<BackendLoad> load;
    TimePoint idle_since;  ///< as far as somebody has looked
  };
  const std::map<BackendId, One>& each() const { return each_; }
  /// By pool.
  const std::map<std::string, Counted>& rest() const { return rest_; }

 private:
  void fold(std::map<BackendId, One>::iterator one);

  std::map<BackendId, One> each_;
  std::map<std::string, Counted> rest_;
};

}  // namespace weir
