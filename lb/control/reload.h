#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lb/config/load.h"
#include "lb/control/registry.h"
#include "lb/control/state_file.h"

namespace weir {

/// What a reload changes beside the Table: listening sockets, logs, limits. Two steps, so that what cannot be
/// had changes nothing. Implemented by the daemon's wiring; control thread.
class ReloadSteps {
 public:
  virtual ~ReloadSteps() = default;
  /// Gets what `next` needs and the present configuration does not have: binds new addresses, opens a new
  /// access log. Nothing takes effect. After an error nothing is kept.
  virtual Result<void> prepare(const Config& next) = 0;
  /// Puts it to use and gives up what is no longer wanted. The Registry knows `next` already, and the workers
  /// have been sent its Table. Cannot fail.
  virtual void commit(const Config& next) = 0;
};

struct ReloadReport {
  bool done = false;
  std::string error;                ///< why not: one sentence
  std::vector<std::string> faults;  ///< of the file, "file:line:column: …"
  ApplyReport applied;
  std::uint64_t generation = 0;
};

/// Re-reads the file: all of it takes effect or nothing. Control thread only.
class Reload {
 public:
  /// `load` reads the file. Everything is borrowed.
  Reload(Registry& registry, ReloadSteps& steps, StateFile& state_file, std::function<LoadResult()> load)
      : registry_(registry), steps_(steps), state_file_(state_file), load_(std::move(load)) {}

  /// Logs what came of it, too.
  ReloadReport run();

 private:
  ReloadReport attempt();

  Registry& registry_;
  ReloadSteps& steps_;
  StateFile& state_file_;
  std::function<LoadResult()> load_;
};

}  // namespace weir
