#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "health/checker.h"
#include "lb/control/name_resolution.h"
#include "lb/control/registry.h"
#include "lb/daemon/fleet.h"
#include "lb/net/loop.h"

namespace weir {

/// Between the Registry, the checker and the workers: tells the checker whom to watch, the Registry what it
/// has said, and the workers whose sessions are not to stay. Owns the checker. Control thread only, but for
/// connects_changed().
class HealthDesk {
 public:
  static Result<std::unique_ptr<HealthDesk>> create(Loop& loop, Registry& registry, NameResolution& names);

  /// The checker's thread. `fleet` is borrowed from now on.
  void start(Fleet& fleet);
  void set_most_sockets(std::size_t most) { checker_->set_most_sockets(most); }
  /// Whom of those that the Registry wants watched: where no session needs a backend any more, it only
  /// matters when to close what is left.
  enum class Watched : std::uint8_t { All, WhoseSessionsClose };
  /// Takes what the Registry wants watched now.
  void update(Watched watched);
  /// A worker's hint (Checker::connects_changed). Any thread.
  void connects_changed(const std::shared_ptr<BackendLoad>& load) { checker_->connects_changed(load); }

 private:
  HealthDesk(Loop& loop, Registry& registry, NameResolution& names)
      : loop_(loop), registry_(registry), names_(names) {}
  void on_report(HealthReport report);
  void on_agent(AgentReport report);
  void take_reports();
  /// If the pool wants that in which it was.
  void close_sessions_of(BackendId id, const Table& before);

  Loop& loop_;
  Registry& registry_;
  NameResolution& names_;
  Fleet* fleet_ = nullptr;
  std::vector<HealthReport> reports_;  ///< of this turn
  std::vector<AgentReport> agents_;    ///< the same
  Watched watched_ = Watched::All;
  bool children_expected_ = false;    ///< every worker knows of the exec probes
  std::unique_ptr<Checker> checker_;  // last: its thread reports here
};

}  // namespace weir
