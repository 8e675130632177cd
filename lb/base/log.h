#pragma once

#include <spdlog/spdlog.h>

#include <chrono>
#include <optional>
#include <string>

namespace weir {

/// The daemon's own log, on stderr: one line for each thing an operator may have to know. A thread of its own
/// writes it (LineWriter): nobody waits for who reads it. Workers do not log (they post to the control
/// thread).
///
/// Values that come from outside go through `quoted`, so that one event stays one line.
spdlog::logger& daemon_log();

/// Sets the level and the format "2026-01-31T10:00:00.123Z level message". Call once, before any thread
/// starts.
void init_daemon_log(spdlog::level::level_enum level);
/// Lines of another process's log, as they are, with their newlines.
void relay_to_daemon_log(std::string_view lines);
/// Waits until what has been logged is written; at most a second, if nobody takes it. At the end of the
/// process, and before anything else is written to stderr.
void flush_daemon_log();

/// `text` as it is when it is plain; in double quotes with ", \, control and non-ASCII bytes escaped when it
/// is not.
std::string quoted(std::string_view text);

/// RFC 3339 in UTC with milliseconds: "2026-01-31T10:00:00.123Z".
std::string format_time(std::chrono::system_clock::time_point time);
/// The same back, of 1970 to 2261, with or without a fraction of the second.
std::optional<std::chrono::system_clock::time_point> parse_time(const std::string& text);

}  // namespace weir
