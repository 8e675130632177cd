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

}  // namespace weir
