#include <fmt/format.h>

#include <exception>
#include <optional>

#include "lb/config/toml.h"

namespace weir {
namespace {

class TomlCheckFailed final : public std::exception {};

/// toml++ bounds the depth of values but not that of dotted keys, whose tables it frees by recursion.
constexpr int kMaxKeyParts = 64;

/// What whoever writes "\\x01" is to write.
constexpr std::string_view kByteEscape =
    " (a probe's bytes are written in single quotes, like send = '\\x01')";

/// The place of the last character of `text`, in characters, not bytes.
TomlError at_end_of(std::string_view text, std::string message) {
  TomlError error{.line = 1, .column = 0, .message = std::move(message)};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80) ++error.column;
    if (text[i] == '\n' && i + 1 < text.size()) {
      ++error.line;
      error.column = 0;
    }
  }
  return error;
}

/// The text up to where a key has more than kMaxKeyParts parts, if one has. Strings and comments are not told
/// apart from keys: none that a configuration needs has so many words joined by single dots.
std::optional<std::string_view> up_to_deep_key(std::string_view text) {
  int dots = 0;
  char last = '\n';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-' || c == '"' || c == '\'' || c == ' ' || c == '\t';
    if (c == '.' && last != '.') {
      if (++dots >= kMaxKeyParts) return text.substr(0, i + 1);
    } else if (!word) {
      dots = 0;
    }
    last = c;
  }
  return std::nullopt;
}

bool fails_a_check(std::string_view text) {
  try {
    static_cast<void>(toml::parse(text, std::string_view{}));
  } catch (const TomlCheckFailed&) {
    return true;
  } catch (const toml::parse_error&) {
    return false;
  }
  return false;
}

/// The shortest beginning of `text` that fails a check: toml++ does not say where it was, but it reads from
/// the left, so that halving finds it.
std::string_view up_to_failed_check(std::string_view text) {
  std::size_t passes = 0;
  std::size_t fails = text.size();
  while (fails - passes > 1) {
    const std::size_t middle = passes + (fails - passes) / 2;
    (fails_a_check(text.substr(0, middle)) ? fails : passes) = middle;
  }
  return text.substr(0, fails);
}

}  // namespace

void toml_check_failed() {
  throw TomlCheckFailed();
}

tl::expected<toml::table, TomlError> parse_toml(std::string_view text, std::string_view path) {
  if (const auto deep = up_to_deep_key(text))
    return tl::unexpected(at_end_of(*deep, fmt::format("a key has more than {} parts", kMaxKeyParts)));
  try {
    return toml::table(toml::parse(text, path));
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    const bool byte_escape = error.description().find("'\\x'") != std::string_view::npos;
    return tl::unexpected(TomlError{
        .line = begin.line,
        .column = begin.column,
        .message = fmt::format("not valid TOML: {}{}", error.description(), byte_escape ? kByteEscape : "")});
  } catch (const TomlCheckFailed&) {
    return tl::unexpected(
        at_end_of(up_to_failed_check(text), "not valid TOML: this character cannot stand here"));
  }
}

}  // namespace weir
