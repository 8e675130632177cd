#include "lb/config/written.h"

#include <algorithm>
#include <cctype>

namespace weir {

namespace {

/// What messages show of a value at most (findings.cpp's shown()).
constexpr std::size_t kMostShown = 160;
/// A shorter value is replaced only where it stands alone: within words it is somebody else's.
constexpr std::size_t kShort = 4;

/// The beginning that messages show.
std::string_view shown_part(std::string_view text) {
  std::size_t size = std::min(kMostShown, text.size());
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80) --size;
  return text.substr(0, size);
}

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

/// Whether what lies between is no part of a longer word.
bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  const bool escape_before = begin > 1 && text[begin - 2] == '\\';  // "\n" and the like
  const bool joined_before = begin > 0 && is_word(text[begin - 1]) && is_word(text[begin]) && !escape_before;
  const bool joined_behind = end < text.size() && is_word(text[end]) && is_word(text[end - 1]);
  return !joined_before && !joined_behind;
}

}  // namespace

void Written::note(std::string_view value, std::string_view variable) {
  while (!value.empty()) {
    const auto end = std::ranges::find_if(value, [](unsigned char c) { return c < ' ' || c == 0x7f; });
    const std::string_view line(value.begin(), end);
    if (!line.empty()) variables_.emplace(line, variable);
    if (line.size() > kMostShown) variables_.emplace(shown_part(line), variable);
    value.remove_prefix(std::min(line.size() + 1, value.size()));
  }
}

std::string Written::restore(std::string_view text) const {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    bool found = false;
    for (const auto& [value, variable] : variables_) {
      if (!text.substr(at).starts_with(value)) continue;
      if (value.size() < kShort && !stands_alone(text, at, at + value.size())) continue;
      out += variable;
      at += value.size();
      found = true;
      break;
    }
    if (!found) out += text[at++];
  }
  return out;
}

}  // namespace weir
