#pragma once

#include <span>
#include <string>
#include <string_view>

#include "lb/config/keys.h"
#include "lb/config/load.h"

namespace weir {

/// What stands for a value in the manual: `"DURATION"`, `0 to 1024`.
std::string placeholder_of(const Value& value, std::span<const std::string_view> words);

/// A regular expression for the whole of a string of this type, as exact as one can be; "" = any string, or
/// no string at all. What the loader takes it takes, too.
std::string pattern_of(ValueType type);

/// Whether the file has it within quotes.
bool is_string(ValueType type);

/// The words of which it is one: the row's own, or the names of the kinds that there are. Of other types
/// none.
std::span<const std::string_view> words_of(const Value& value, const KnownKinds& kinds);

}  // namespace weir
