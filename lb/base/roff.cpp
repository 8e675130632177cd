#include "lb/base/roff.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir {
namespace {

constexpr std::size_t kWidest = 78;

std::string_view escape_of(char c) {
  switch (c) {
    case '\\':
      return "\\e";
    case '-':
      return "\\-";
    case '\'':
      return "\\(aq";
    case '"':
      return "\\(dq";
    case '^':
      return "\\(ha";
    case '~':
      return "\\(ti";
    case '`':
      return "\\(ga";
    default:
      return "";
  }
}

/// A line that begins so would be a request.
std::string_view guard(std::string_view line) {
  return line.starts_with('.') ? "\\&" : "";
}

}  // namespace

std::string roff_word(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const std::string_view escape = escape_of(c);
    if (escape.empty())
      out += c;
    else
      out += escape;
  }
  return out;
}

std::string roff_prose(std::string_view text) {
  std::string out, line;
  const auto end_line = [&] {
    if (!line.empty()) out += fmt::format("{}{}\n", guard(line), line);
    line.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t blank = std::min(text.find_first_of(" \n", at), text.size());
    const std::string word = roff_word(text.substr(at, blank - at));
    at = blank + 1;
    if (word.empty()) continue;
    if (line.size() + 1 + word.size() > kWidest) end_line();
    line += (line.empty() ? "" : " ") + word;
    if (word.size() > 1 && (word.ends_with('.') || word.ends_with(".)"))) end_line();
  }
  end_line();
  return out;
}

std::string roff_literal(std::string_view lines) {
  std::string out = ".PP\n.RS 4\n.nf\n";
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string line = roff_word(lines.substr(0, end));
    out += fmt::format("{}{}\n", guard(line), line);
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return out + ".fi\n.RE\n";
}

}  // namespace weir
