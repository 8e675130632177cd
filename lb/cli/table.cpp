#include "lb/cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace weir {

namespace {

constexpr std::size_t kNarrowestLast = 10;
/// What the last column should have before others are left out for it.
constexpr std::size_t kWantedLast = 24;
constexpr std::size_t kNarrowest = 4;

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
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
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string fitted(std::string_view text, std::size_t columns) {
  const bool cut = columns_of(text) > columns;
  const std::size_t room = cut && columns > 0 ? columns - 1 : columns;
  std::string out;
  std::size_t used = 0;
  for (const char c : text) {
    if (!continues(c) && used++ == room) break;
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

std::size_t TextTable::least_width(const Style& style) const {
  const auto widths = columns({0, false, style.indent});
  const std::size_t last = std::min(widths.back(), kWantedLast);
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
  if (style.width > 0 && least_width(style) > style.width) {
    int first = 0;
    for (const auto& cell : rows_.front())
      if (cell.spare > 0 && (first == 0 || cell.spare < first)) first = cell.spare;
    if (first > 0) return without(first).render(style);
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
