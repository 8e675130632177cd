#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

struct Terminal {
  std::size_t width = 0;  ///< 0: not a terminal, nothing is cut
  bool colour = false;
  std::size_t height = 0;
};

/// Of standard output: NO_COLOR, TERM and COLUMNS are heeded.
Terminal standard_terminal();

/// What the admin API answered, for people. Fields that are missing (an older or a newer daemon) show as
/// nothing.
/// `now`: what ages count to; the daemon's clock is this host's.
std::string render_status(std::string_view json, const Terminal& terminal,
                          std::chrono::system_clock::time_point now);
/// The same in the lines of that terminal: the worst first, then how much is left out.
std::string render_screen(std::string_view json, const Terminal& terminal,
                          std::chrono::system_clock::time_point now);
/// `text` over what a terminal of that many lines showed before, without a flicker. What does not fit is left
/// out and counted.
std::string in_place(std::string_view text, std::size_t height);
std::string render_sessions(std::string_view json, const Terminal& terminal);
std::string render_clients(std::string_view json, const Terminal& terminal);
/// One line for each backend: "web/web1: drained, 37 sessions left". `verb` as in `Verb` of commands.cpp.
std::string render_events(std::string_view json, const Terminal& terminal);
/// One of them, as a line without its end: "12:00:01 health web/web1 up → down: connection refused".
std::string render_event(std::string_view json);
/// All that is known of a backend: its status, its last events, and how many sessions stand where.
std::string render_backend(std::string_view status, std::string_view events, std::string_view sessions,
                           const Terminal& terminal, std::chrono::system_clock::time_point now);
std::string render_changed(std::string_view json, std::string_view verb);
std::string render_killed(std::string_view json);
std::string render_rebalanced(std::string_view json);
std::string render_explanation(std::string_view json);
std::string render_reload(std::string_view json);

/// What a reload would do.
struct Difference {
  bool accepted = false;
  std::string text;                     ///< for stdout
  std::vector<std::string> complaints;  ///< for stderr: why not, and warnings
};
Difference read_difference(std::string_view json);

std::string render_upgrade(std::string_view json);
/// One line, without its end.
std::string render_stop(std::string_view json);
std::string render_version(std::string_view json);

/// The warnings and notes of an answer, for stderr.
std::vector<std::string> warnings_of(std::string_view json);

}  // namespace weir
