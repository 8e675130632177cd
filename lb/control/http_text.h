#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// "%41" is "A"; a broken escape stays as it is.
std::string percent_decode(std::string_view text);

/// The parts of a path between its slashes, decoded; empty ones are left out.
std::vector<std::string> split_path(std::string_view path);

/// Those of ASCII alone.
std::string in_small_letters(std::string_view text);

}  // namespace weir
