#pragma once

#include <string_view>

namespace weir {

/// `*` is any run of characters, `?` is one; everything else is itself. Brackets are no classes: names
/// contain them ("[::1]:80"). Time is bounded by the product of both lengths.
bool glob_matches(std::string_view pattern, std::string_view text);
bool is_glob(std::string_view pattern);

}  // namespace weir
