#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace weir {

/// Thrown by toml++ where it would abort: version 3.3 takes some faults of a file ("[$]", say) for its own.
[[noreturn]] void toml_check_failed();

}  // namespace weir

// toml++ is compiled once, in toml.cpp: it takes seconds. Its checks stay on in every build, for without them
// what they guard against is undefined. Includes of it anywhere else go through this header.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_HEADER_ONLY 0
#define TOML_ASSERT(condition) ((condition) ? static_cast<void>(0) : ::weir::toml_check_failed())
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace weir {

/// Why, and from 1 where, a text is no TOML.
struct TomlError {
  std::uint32_t line;
  std::uint32_t column;
  std::string message;
};

/// The text as a tree, or the first syntax error. `path` names it.
tl::expected<toml::table, TomlError> parse_toml(std::string_view text, std::string_view path);

}  // namespace weir
