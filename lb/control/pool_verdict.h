#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lb/balance/table.h"

namespace weir {

/// How a pool as a whole stands: the first thing that an operator, a monitor and the log want to know.
enum class PoolVerdict : std::uint8_t {
  Unknown,      ///< nobody serves, and of somebody nothing has been heard yet
  Ok,           ///< every primary that is enabled serves
  Degraded,     ///< some do not, or others stand in, but no backup is needed
  BackupInUse,  ///< no primary serves, a backup does
  Down          ///< nobody is well; backends that are used all the same (try_all) do not count
};

constexpr std::string_view to_string(PoolVerdict verdict) {
  constexpr std::string_view kNames[] = {"unknown", "ok", "degraded", "backup in use", "down"};
  return kNames[static_cast<std::size_t>(verdict)];
}

std::optional<PoolVerdict> verdict_named(std::string_view name);

/// Pure. Backends that somebody has taken out count neither way: a pool of which half is drained is ok, and
/// one that is drained as a whole is down.
PoolVerdict verdict_of(const Pool& pool);
/// "1 of 2 up"; "1 of 2 up, 1 drained".
std::string count_of_up(const Pool& pool);

}  // namespace weir
