#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weir {

/// `*` is any run of characters, `?` is one; everything else is itself. Brackets are no classes: names
/// contain them ("[::1]:80"). Time is bounded by the product of both lengths.
bool glob_matches(std::string_view pattern, std::string_view text);
bool is_glob(std::string_view pattern);

/// The candidate that is the fewest edits away from `name`, when that is near enough to be a slip: at most a
/// third of its length, at least one edit.
std::optional<std::string> nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace weir
