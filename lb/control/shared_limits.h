#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>

#include "lb/control/predecessors.h"
#include "lb/control/registry.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

namespace weir {

/// Counts the sessions that older processes of this Weir still have with backends that can be full, so that a
/// backend's limit holds over an upgrade: asks each of them, every kStep, as long as there are any. Until the
/// first answer what the old process said at the hand-over counts; one that does not answer counts as it did
/// last. Control thread only.
class SharedLimits {
 public:
  /// How late a place that becomes free in an older process serves somebody who waits in this one.
  static constexpr Millis kStep{250};

  SharedLimits(Loop& loop, Registry& registry, Predecessors& predecessors);
  /// All the older processes are known.
  void begin() { look(); }
  /// This process has been superseded itself: it goes by what it knows.
  void end() { timer_.stop(); }

 private:
  void look();

  Registry& registry_;
  Predecessors& predecessors_;
  std::map<pid_t, SessionsByBackend> known_;
  std::optional<SessionsByBackend> said_;  ///< to the registry
  bool asking_ = false;
  Timer timer_;
};

std::string to_json(const SessionsByBackend& sessions);

}  // namespace weir
