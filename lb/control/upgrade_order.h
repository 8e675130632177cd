#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lb/base/duration.h"
#include "lb/control/commands.h"

namespace weir {

/// What an operator asks for with `weir upgrade`.
struct UpgradeOrder {
  std::string binary;  ///< an absolute path; "" = the one this process was started from
  std::optional<Millis>
      max_age;              ///< how long this process may finish its sessions; nothing = as long as it takes
  bool force = false;       ///< also by a file that leaves a pool without anybody to serve it
  bool privileged = false;  ///< by root, or by the user Weir runs as
  std::string by;           ///< whose order it is; "" = not known
};

/// What came of it: a new process serves.
struct UpgradeReport {
  std::string binary;
  pid_t pid = 0;               ///< of the new process
  pid_t predecessor = 0;       ///< of this one
  std::uint64_t sessions = 0;  ///< left behind here
  /// What the file, which is read anew, changed: as a reload would have said it.
  std::vector<std::string> changes;
  std::vector<std::string> notes;
};

using UpgradeDone = std::function<void(CommandResult<UpgradeReport>)>;

}  // namespace weir
