#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lb/control/state_file.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

namespace weir {

/// Keeps what operators have said in the state file, by a thread of its own: a disk that takes its time, or
/// hangs, holds up nobody but who wants to know that it has been written. What could not be written is tried
/// again until it is; the log says once that it is not, and once that it is again. Control thread only.
class StateKeeper {
 public:
  static constexpr Millis kRetry{5'000};
  using Done = std::function<void(const Result<void>&)>;

  StateKeeper(Loop& loop, std::string path);
  /// What is being written is waited for, a second at most. Who still waits is not called back.
  ~StateKeeper();
  StateKeeper(const StateKeeper&) = delete;
  StateKeeper& operator=(const StateKeeper&) = delete;

  /// To be loaded from, before the first save() only.
  StateFile& file();

  /// From now on this is to be on the disk.
  void save(const Overrides& overrides);
  /// Calls back once what was saved last is on the disk, or could not be written this time; at once when that
  /// is known.
  void when_saved(Done done);
  /// From the next save() on it is kept there. `create_directory`: as StateFile::check_writable takes it.
  void move_to(const std::string& path, bool create_directory);
  /// Another process keeps the file from now on: nothing that is under way replaces it any more.
  void leave();

  const std::string& path() const { return path_; }  ///< "" = nothing is kept
  /// Why what operators said is not on the disk; "" while it is, or is on its way.
  const std::string& problem() const { return problem_; }
  bool writing() const { return done_ < asked_; }

 private:
  struct Writer;
  void write();
  void on_written(std::uint64_t number, const Result<void>& result);
  /// What has been ordered so far is nobody's business any more.
  void forget_orders();
  /// Calls back those whose order is done.
  void settle(const Result<void>& result);

  Loop& loop_;
  std::string path_;
  std::shared_ptr<Writer> writer_;  ///< shared with its thread, which a dead disk may hold for ever
  Overrides wanted_;
  std::uint64_t asked_ = 0;  ///< the number of the last order to the thread
  std::uint64_t done_ = 0;   ///< of the last one whose end is known
  std::string problem_;
  std::vector<std::pair<std::uint64_t, Done>> waiting_;  ///< with the order they wait for
  Timer retry_;
};

}  // namespace weir
