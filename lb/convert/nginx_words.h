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
  std::string written;     ///< as it stands in the file, up to its ";" or "{", on one line
  bool inherited = false;  ///< of a server block: said of all of them

  std::string word(std::size_t i) const { return i < words.size() ? words[i] : ""; }
};

/// All of a file, comments left out; blocks that are nested deeper than any real ones are cut.
std::vector<Directive> directives_of(std::string_view text);

/// A time as TOML: "10m", "1h30m", seconds where there is no unit; nothing for what is none, or is zero.
std::optional<std::string> duration_of(std::string_view text);
/// An address to bind as Weir's: "8080", "*:8080", "[::]:80", "unix:/path". Nothing for a name, or where
/// there is not one port.
std::optional<std::string> bind_of(const std::string& text);
/// An address of a server, which may be a name.
std::optional<std::string> server_address_of(const std::string& text);
/// In milliseconds; seconds where there is no unit.
std::optional<unsigned long long> millis_of(std::string_view text);
/// "512k" of bytes a second as Weir writes it; nothing for what is no number.
std::optional<std::string> rate_of(std::string text);

}  // namespace weir::convert::nginx
