#include "lb/config/substitute.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace weir {
namespace {

constexpr std::string_view kOpen = "${";
constexpr std::string_view kEscapedOpen = "$${";
constexpr std::string_view kDefault = ":-";

bool is_variable_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && !digit(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c); });
}

/// The value of what stands between `${` and `}`.
Result<std::string> value_of(std::string_view inside, const Environment& environment, Written& written) {
  const auto colon = inside.find(kDefault);
  const std::string_view name = inside.substr(0, colon);
  if (!is_variable_name(name))
    return fail(fmt::format(
        "\"${{{}}}\" is not a variable: write ${{NAME}} or ${{NAME:-default}}, and $${{ for a literal ${{",
        inside));
  std::optional<std::string> value = environment ? environment(name) : std::nullopt;
  if (colon != std::string_view::npos) {
    if (!value || value->empty()) return std::string(inside.substr(colon + kDefault.size()));
  } else if (!value) {
    return fail(
        fmt::format("the environment variable {} is not set: set it, or write ${{{}:-default}}", name, name));
  }
  written.note(*value, fmt::format("${{{}}}", name));
  return *value;
}

}  // namespace

Result<std::string> substitute(std::string_view text, const Environment& environment, Written& written) {
  const std::string_view whole = text;
  std::string result;
  while (!text.empty()) {
    if (text.starts_with(kEscapedOpen)) {
      result += kOpen;
      text.remove_prefix(kEscapedOpen.size());
    } else if (text.starts_with(kOpen)) {
      const auto close = text.find('}');
      if (close == std::string_view::npos)
        return fail(fmt::format("\"{}\" has no closing }}: write $${{ for a literal ${{", text));
      auto value = value_of(text.substr(kOpen.size(), close - kOpen.size()), environment, written);
      if (!value) return value;
      result += *value;
      text.remove_prefix(close + 1);
    } else {
      const auto next = text.find('$', 1);
      result += text.substr(0, next);
      text.remove_prefix(next == std::string_view::npos ? text.size() : next);
    }
  }
  if (result != whole) written.note(result, whole);
  return result;
}

}  // namespace weir
