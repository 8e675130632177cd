#pragma once

#include <chrono>
#include <string>

#include "lb/cli/read_json.h"
#include "lb/cli/render.h"
#include "lb/cli/table.h"

namespace weir {

// What a status says, in the words of a cell or a line: those of `weir status` and of `weir top`.

/// Nobody has taken it out, and it does not serve as it should.
bool is_problem(const AnswerJson& backend);
/// Both words in one: the operator's when there is one, the checker's when it matters.
Cell state_cell(const AnswerJson& backend);
/// "1", "5 at 50%" while it is warming up.
std::string weight_text(const AnswerJson& backend);
/// Since when the operator or the file keeps it out, else since when its health is what it is: "3m".
std::string since_text(const AnswerJson& backend, std::chrono::system_clock::time_point now);
/// "31", "31/50" where there is a limit.
std::string active_text(const AnswerJson& backend);
/// Of something by the second: "0.3", "12.5k".
std::string rate_text(double per_second);
/// What an operator has set in motion first, then the word of the checker.
std::string why_text(const AnswerJson& backend, const Terminal& terminal,
                     std::chrono::system_clock::time_point now);
/// "weir 0.2.0, up 3h, pid 7, 120/s, 3.4M/s, 31 of 8000 sessions, last reload ok …, 1 problem"
std::string status_title(const AnswerJson& root);

}  // namespace weir
