#pragma once

#include <memory>
#include <string>

#include "lb/base/error.h"
#include "lb/base/fd.h"
#include "lb/net/loop.h"

namespace weir {

/// The standard error of a process that is being started: passed on to this one's, line by line, and its end
/// kept for whoever asks why it failed. Loop thread only; not to be destroyed while the loop is in a batch of
/// events (post that).
class StartOutput final : private Watcher {
 public:
  static constexpr std::size_t kMostKept = 4 * 1024;

  static Result<std::unique_ptr<StartOutput>> create(Loop& loop);
  ~StartOutput();

  /// Borrowed, for the child; to be closed here once it has it.
  int child_end() const { return child_end_.get(); }
  void close_child_end() { child_end_.reset(); }

  /// What it has written until now; of much the last lines.
  std::string text();

 private:
  explicit StartOutput(Loop& loop) : loop_(loop) {}
  void on_events(std::uint32_t events) override;
  /// Reads what there is. False when there will be no more.
  bool read_on();
  void hang_up();

  Loop& loop_;
  Fd own_end_;
  Fd child_end_;
  std::string line_;  ///< not whole yet
  std::string kept_;
};

}  // namespace weir
