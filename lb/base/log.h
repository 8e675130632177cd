#pragma once

#include <spdlog/spdlog.h>

namespace weir {

/// The daemon's own log, on stderr: one line for each thing an operator may have to know. Control and checker
/// threads write to it directly; workers never do (they post to the control thread).
///
/// Values that come from outside go through `quoted`, so that one event stays one line.
spdlog::logger& daemon_log();

/// Sets the level and the format "2026-01-31T10:00:00.123Z level message". Call once, before any thread
/// starts.
void init_daemon_log(spdlog::level::level_enum level);

/// `text` as it is when it is plain; in double quotes with ", \, control and non-ASCII bytes escaped when it
/// is not.
std::string quoted(std::string_view text);

/// RFC 3339 in UTC with milliseconds: "2026-01-31T10:00:00.123Z".
std::string format_time(std::chrono::system_clock::time_point time);

}  // namespace weir
