#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace weir {

/// The edits (insert, delete, replace, swap of two neighbours) that turn one name into the other, case
/// ignored. Names are compared by their first 128 bytes. Optimal string alignment, O(length × length).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate with the fewest edits, the first one of several; "" when there is no candidate.
std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates);

/// Whether `candidate` is close enough to `name` to ask "did you mean …?": a third of it may differ.
bool is_near(std::string_view name, std::string_view candidate);

}  // namespace weir
