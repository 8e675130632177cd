#pragma once

#include <string>

#include "lb/observe/history.h"

namespace weir {

/// {"time": when it was last looked, in seconds since 1970, "short": {…}, "long": {…}}, each of these
/// {"step_seconds": 5, "active": […], "sessions": […], …}: a list for each quantity, the oldest first, all of
/// one length, the last element being the step under way at that time. null: nobody looked, or no connect has
/// worked. Times in milliseconds.
std::string history_json(const HistorySeries& series, History::System wall);

/// The same of all together, and "pools": [{"name", "short": {"step_seconds", "active", "sessions",
/// "connect_failures"}}].
std::string history_json(const History& history);

}  // namespace weir
