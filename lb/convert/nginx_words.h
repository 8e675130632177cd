#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::convert::nginx {

// The words of nginx's configuration. Pure.

/// "name words… ;" or "name words… { directives }"
struct Directive {
  std::size_t line = 0;
  std::vector<std::string> words;
  std::vector<Directive> block;

  std::string word(std::size_t i) const { return i < words.size() ? words[i] : ""; }
  std::string text() const;
};

/// All of a file, comments left out; blocks that are nested deeper than any real ones are cut.
std::vector<Directive> directives_of(std::string_view text);

/// A time as TOML: "10m", "1h30m", seconds where there is no unit; nothing for what is none, or is zero.
std::optional<std::string> duration_of(std::string_view text);
/// As Weir's: "8080", "*:8080", "[::]:80", "unix:/path". Nothing where there is no port.
std::optional<std::string> address_of(const std::string& text);
/// "512k" of bytes a second as Weir writes it.
std::string rate_of(std::string text);

}  // namespace weir::convert::nginx
