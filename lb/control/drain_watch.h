#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <string>

#include "lb/control/registry.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

namespace weir {

/// Whoever waits for the last session of backends that are out of rotation is called back here. Control
/// thread only.
class DrainWatch {
 public:
  static constexpr Millis kLookEvery{50};
  using Done = std::function<void(const CommandResult<Registry::Drains>&)>;

  DrainWatch(Loop& loop, const Registry& registry);

  /// Calls back once, perhaps at once: when no session is left on any backend of Registry::drains(target);
  /// when `at_most` is over; or when there is no such name (any more).
  void wait(std::string target, Millis at_most, Done done);

 private:
  struct Waiting {
    std::string target;
    std::chrono::steady_clock::time_point until;
    Done done;
  };
  /// Whether it was called back.
  bool look(const Waiting& waiting);

  const Registry& registry_;
  std::list<Waiting> waiting_;
  Timer timer_;
};

}  // namespace weir
