#pragma once

#include <functional>
#include <memory>

#include "lb/net/loop.h"

namespace weir {

/// Does what takes its time, or may hang, on a thread of its own: one task after the other. Loop thread only.
class Background {
 public:
  /// Runs on the thread; what it answers runs on the loop. It owns, or shares, all that it touches: of a task
  /// that hangs nobody waits for the end.
  using Task = std::function<std::function<void()>()>;

  explicit Background(Loop& loop);
  /// Tasks that have not begun are dropped; the one that runs is waited for, a second at most. Nothing is
  /// called back any more.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  void run(Task task);

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< shared with the thread
};

}  // namespace weir
