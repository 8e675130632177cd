#pragma once

#include <string>
#include <string_view>

namespace weir {

/// `text` as roff shows it: nothing in it is taken for a request, an escape or a quote. For a part of a line.
std::string roff_word(std::string_view text);

/// Prose for a page of the manual: each sentence begins a line, and none is longer than 80 bytes where a
/// blank allows it. Ends with a line's end.
std::string roff_prose(std::string_view text);

/// Lines that stay as they are, each indented by a tab's width: examples.
std::string roff_literal(std::string_view lines);

}  // namespace weir
