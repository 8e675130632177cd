#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::convert {

// How TOML, and Weir's file in it, writes values. Pure.

/// A string as TOML writes it. What looks like a variable ("${") is escaped; what is no UTF-8 becomes "?".
std::string quoted_toml(std::string_view text);
/// Bytes that a probe sends or expects: like quoted_toml as long as they are text, else in single quotes with
/// \xHH, which is Weir's own.
std::string bytes_toml(std::string_view bytes);
/// `["a", "b"]`
std::string list_toml(const std::vector<std::string>& items);
/// "90s" out of 90000, in the largest unit that keeps it whole.
std::string duration_toml(unsigned long long millis);
/// What Weir takes for a name, other characters being "_".
std::string name_of(std::string_view text);
/// On one line and in UTF-8, as a comment has to be.
std::string comment_of(std::string_view text);
/// A decimal number from `least` to `most`; nothing for any other text.
std::optional<unsigned long long> number_in(std::string_view text, unsigned long long least,
                                            unsigned long long most);

}  // namespace weir::convert
