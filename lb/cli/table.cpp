#include "lb/cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace weir {

namespace {

constexpr std::size_t kNarrowestLast = 10;
/// What the last column should have before others are left out for it.
constexpr std::size_t kWantedLast = 16;
constexpr std::size_t kNarrowest = 4;
/// From this Cell::spare on a column is left out only where the last one could not be read at all.
constexpr int kReluctantly = 5;

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// The code point that begins at `text`, which is not empty; U+FFFD for what is no UTF-8.
char32_t code_point(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
  if (length == 0 || text.size() < length) return 0xfffd;
  char32_t out = length == 1 ? first : first & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) out = (out << 6) | (static_cast<unsigned char>(text[i]) & 0x3fu);
  return out;
}

/// Columns of a terminal, by the blocks of Unicode's EastAsianWidth.txt that are wide or full as a whole, and
/// of marks that combine. (wcwidth(3) goes by a locale that may not be set.)
std::size_t width_of(char32_t point) {
  struct Range {
    char32_t first, last;
  };
  constexpr Range kNone[] = {{0x0300, 0x036f}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}};
  constexpr Range kTwo[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xac00, 0xd7a3},
                            {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},   {0xffe0, 0xffe6},
                            {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
  const auto in = [point](const Range& range) { return point >= range.first && point <= range.last; };
  if (std::ranges::any_of(kNone, in)) return 0;
  return std::ranges::any_of(kTwo, in) ? 2 : 1;
}

std::string_view escape_of(Colour colour) {
  switch (colour) {
    case Colour::Good:
      return "\x1b[32m";
    case Colour::Warn:
      return "\x1b[33m";
    case Colour::Bad:
      return "\x1b[31m";
    case Colour::Faint:
      return "\x1b[2m";
    case Colour::None:
      break;
  }
  return "";
}

std::string scaled(double value, double step, std::string_view between,
                   const std::array<std::string_view, 5>& units) {
  std::size_t unit = 0;
  while (value >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  const int digits = unit == 0 || value >= 100 ? 0 : 1;
  return fmt::format("{:.{}f}{}{}", value, digits, between, units[unit]);
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (!continues(text[i])) out += width_of(code_point(text.substr(i)));
  return out;
}

std::string fitted(std::string_view text, std::size_t columns) {
  const bool cut = columns_of(text) > columns;
  const std::size_t room = cut && columns > 0 ? columns - 1 : columns;
  std::string out;
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!continues(c)) {
      used += width_of(code_point(text.substr(i)));
      if (used > room) break;
    }
    out += static_cast<unsigned char>(c) < ' ' || c == 0x7f ? '?' : c;
  }
  return cut && columns > 0 ? out + "…" : out;
}

std::vector<std::size_t> TextTable::columns(const Style& style) const {
  const auto& header = rows_.front();
  std::vector<std::size_t> out(header.size(), 0);
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) out[i] = std::max(out[i], columns_of(row[i].text));
  if (style.width == 0) return out;
  // The last column gives way first, then whichever is widest; numbers never do.
  const std::size_t between = style.indent + 2 * (out.size() - 1);
  for (std::size_t total = std::accumulate(out.begin(), out.end(), between); total > style.width; --total) {
    std::size_t victim = out.size() - 1;
    if (out[victim] <= kNarrowestLast)
      for (std::size_t i = 0; i + 1 < out.size(); ++i)
        if (!header[i].right && out[i] > out[victim]) victim = i;
    if (out[victim] <= kNarrowest) break;
    --out[victim];
  }
  return out;
}

std::size_t TextTable::least_width(const Style& style, std::size_t most_of_last) const {
  const auto widths = columns({0, false, style.indent});
  const std::size_t last = std::min(widths.back(), most_of_last);
  return std::accumulate(widths.begin(), widths.end() - 1, style.indent + 2 * (widths.size() - 1) + last);
}

TextTable TextTable::without(int spare) const {
  TextTable out({});
  out.rows_.clear();
  const auto& header = rows_.front();
  for (const auto& row : rows_) {
    auto& kept = out.rows_.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i)
      if (header[i].spare != spare) kept.push_back(row[i]);
  }
  return out;
}

std::string TextTable::render(const Style& style) const {
  if (style.width > 0) {
    int first = 0;
    for (const auto& cell : rows_.front())
      if (cell.spare > 0 && (first == 0 || cell.spare < first)) first = cell.spare;
    const std::size_t last = first < kReluctantly ? kWantedLast : kNarrowestLast;
    if (first > 0 && least_width(style, last) > style.width) return without(first).render(style);
  }
  const auto widths = columns(style);
  std::string out;
  for (const auto& row : rows_) {
    std::string line(style.indent, ' ');
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto text = fitted(row[i].text, widths[i]);
      const std::string padding(widths[i] - std::min(widths[i], columns_of(text)), ' ');
      const auto escape = style.colour ? escape_of(row[i].colour) : "";
      if (row[i].right) line += padding;
      line += fmt::format("{}{}{}", escape, text, escape.empty() ? "" : "\x1b[0m");
      if (i + 1 < row.size()) line += row[i].right ? "  " : padding + "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string short_number(std::uint64_t number) {
  return scaled(static_cast<double>(number), 1000, "", {"", "k", "M", "G", "T"});
}

std::string sessions_text(std::uint64_t count) {
  return fmt::format("{} session{}", count, count == 1 ? "" : "s");
}

std::string short_bytes(std::uint64_t bytes) {
  return scaled(static_cast<double>(bytes), 1024, " ", {"B", "KiB", "MiB", "GiB", "TiB"});
}

std::string terse_bytes(std::uint64_t bytes) {
  return scaled(static_cast<double>(bytes), 1024, "", {"B", "K", "M", "G", "T"});
}

std::string age(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::max(seconds, 0.0));
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m", whole / 60);
  if (whole < 86400) return fmt::format("{}h", whole / 3600);
  return fmt::format("{}d", whole / 86400);
}

std::string short_duration(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} m {} s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{} h {} m", whole / 3600, whole % 3600 / 60);
  return fmt::format("{} d {} h", whole / 86400, whole % 86400 / 3600);
}

}  // namespace weir
