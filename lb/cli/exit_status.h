#pragma once

namespace weir {

/// How every `weir` command exits.
enum ExitStatus : int {
  kExitDone = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitUnknownName = 3,
  kExitTimedOut = 4,
  kExitNoDaemon = 5,
};

}  // namespace weir
