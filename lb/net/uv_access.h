#pragma once

#include <uv.h>

#include "lb/net/loop.h"

namespace weir {

/// For this room only: libuv's side of a Loop.
class LoopAccess {
 public:
  static uv_loop_t* uv(Loop& loop);
  /// Timers that are running, so that a loop without any need not ask libuv for the time.
  static int& active_timers(Loop& loop);
};

/// Lets go of a child that outlives its ChildProcess and now its loop: it is no longer reaped by us.
void close_orphan(uv_process_t* process);

}  // namespace weir
