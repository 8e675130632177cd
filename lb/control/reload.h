#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lb/config/load.h"
#include "lb/control/registry.h"
#include "lb/control/state_keeper.h"
#include "lb/net/background.h"
#include "lb/observe/events.h"

namespace weir {

/// What a reload needs beside the Table and has got: listening sockets, a log. Committed, or else given back
/// when it goes. Control thread.
class PreparedReload {
 public:
  virtual ~PreparedReload() = default;
  /// Puts it to use and gives up what is no longer wanted. The Registry knows the configuration already, and
  /// the workers have been sent its Table. Cannot fail.
  virtual void commit() && = 0;
};

/// What a reload changes beside the Table. Implemented by the daemon's wiring; control thread.
class ReloadSteps {
 public:
  virtual ~ReloadSteps() = default;
  /// Gets what `next` needs and the present configuration does not have: binds new addresses, opens a new
  /// access log. Nothing takes effect. After an error nothing is kept.
  virtual Result<std::unique_ptr<PreparedReload>> prepare(std::shared_ptr<const Config> next) = 0;
};

struct ReloadReport {
  bool done = false;          ///< of a rehearsal: it would be
  bool busy = false;          ///< not done because an upgrade has begun meanwhile
  std::string error;          ///< why not: one sentence
  std::string file;           ///< whose the faults and warnings are
  std::vector<Fault> faults;  ///< of the file
  std::vector<Fault> warnings;
  ApplyReport applied;
  std::uint64_t generation = 0;
};

/// What a Reload works with; references are borrowed.
struct ReloadParts {
  Registry& registry;
  ReloadSteps& steps;
  StateKeeper& state;
  Background& background;
  Events& events;
  /// Reads the file, or a text in its place. On the thread of `background`.
  std::function<LoadResult()> load;
  std::function<LoadResult(std::string_view text, const std::string& file)> parse;
  /// Calls back once every worker follows what was changed before. Null: there are none.
  std::function<void(std::function<void()>)> when_heard = nullptr;
  /// Why nothing may change now; "" = it may. Null: it always may.
  std::function<std::string()> refusal = nullptr;
  /// A reload has begun to read, and has been done or refused. Null: nobody wants to know.
  std::function<void()> on_begin = nullptr;
  std::function<void()> on_end = nullptr;
};

/// Re-reads the file: all of it takes effect or nothing. The file is read and parsed, and for a rehearsal
/// compared, on a thread of its own, so that neither a large one nor one that cannot be read now holds up
/// anybody but who waits for it; what is asked for first is done first. Control thread only.
class Reload {
 public:
  using Done = std::function<void(const ReloadReport&)>;

  explicit Reload(ReloadParts parts) : parts_(std::move(parts)) {}

  /// `by`: who wants it, for the log, to which goes what came of it, too. It is said, there and to `done`,
  /// once whoever comes from then on meets the new file. Whether what operators said is on the disk is the
  /// StateKeeper's to tell.
  void run(std::string by, Done done);
  /// What a reload of a file with this text would report. Changes nothing, logs nothing. Whether an address
  /// can be bound or a log be opened is known only when it is tried: the notes say where that is open.
  /// `tell` makes an answer of the report on the thread of `background`, for both may be large. A few at a
  /// time; of one more it is told why not.
  using Tell = std::function<std::string(const ReloadReport&)>;
  using Told = std::function<void(Result<std::string>)>;
  void rehearse(std::string text, std::string file, Tell tell, Told told) const;
  /// What a process would find that follows this one with the file as it is: it may have other workers and
  /// another admin socket, and members added at run time stay.
  void rehearse_upgrade(Done done) const;

  /// Whether a file is being read to be put to use.
  bool reading() const { return reading_ > 0; }

 private:
  ReloadReport attempt(const LoadResult& loaded);
  void apply(const LoadResult& loaded, ReloadReport& report);
  /// Refuses what can be refused without trying it.
  ReloadReport examine(const LoadResult& loaded, const std::string& file, Registry::Over over) const;

  /// What would be changed; all but the first look at it on the thread of `background`, as `then`, whose
  /// answer runs on the loop.
  using Foreseen = std::function<std::function<void()>(ReloadReport&)>;
  void foresee(LoadResult loaded, const std::string& file, Registry::Over over, Foreseen then) const;

  ReloadParts parts_;
  int reading_ = 0;
  mutable int rehearsing_ = 0;
};

}  // namespace weir
