#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "lb/cli/render.h"
#include "lb/cli/top_model.h"

namespace weir {

/// What `weir top` shows on that terminal: at most its height in lines, each within its width, escapes of
/// colours apart. Tells the model how many rows have room.
std::vector<std::string> top_lines(TopModel& model, const Terminal& terminal,
                                   std::chrono::system_clock::time_point now);

/// `text` in lines of at most `columns`, broken at blanks; of more than `most` lines the last is cut ("…").
std::vector<std::string> wrapped(const std::string& text, std::size_t columns, std::size_t most);

}  // namespace weir
