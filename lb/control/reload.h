#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
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
  bool done = false;          ///< of a rehearsal: it would be
  std::string error;          ///< why not: one sentence
  std::string file;           ///< whose the faults and warnings are
  std::vector<Fault> faults;  ///< of the file
  std::vector<Fault> warnings;
  ApplyReport applied;
  std::uint64_t generation = 0;
};

/// Re-reads the file: all of it takes effect or nothing. Control thread only.
class Reload {
 public:
  using Load = std::function<LoadResult()>;
  using Parse = std::function<LoadResult(std::string_view text, const std::string& file)>;

  /// `load` reads the file, `parse` a text in its place. Everything is borrowed.
  Reload(Registry& registry, ReloadSteps& steps, StateFile& state_file, Load load, Parse parse)
      : registry_(registry),
        steps_(steps),
        state_file_(state_file),
        load_(std::move(load)),
        parse_(std::move(parse)) {}

  /// Logs what came of it, too.
  ReloadReport run();
  /// What a reload of a file with this text would report. Changes nothing, logs nothing. Whether an address
  /// can be bound or a log be opened is known only when it is tried: the notes say where that is open.
  ReloadReport rehearse(std::string_view text, const std::string& file) const;

 private:
  ReloadReport attempt();
  /// Refuses what can be refused without trying it.
  ReloadReport examine(const LoadResult& loaded, const std::string& file) const;

  Registry& registry_;
  ReloadSteps& steps_;
  StateFile& state_file_;
  Load load_;
  Parse parse_;
};

}  // namespace weir
