#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "lb/base/nearest.h"
#include "lb/config/foreign_words.h"
#include "lb/config/reader.h"

namespace weir {
namespace {

/// Bounds a fault's line whatever the file holds.
constexpr std::size_t kMaxMessage = 1000;
constexpr std::size_t kMaxShown = 160;

/// `text` cut to `size` bytes, never within a UTF-8 character.
std::string_view cut(std::string_view text, std::size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80) --size;
  return text.substr(0, size);
}

/// One line that a terminal takes as text: control characters are written as escapes.
std::string one_line(std::string_view message) {
  std::string line;
  for (const char c : cut(message, kMaxMessage)) {
    if (c == '\n')
      line += "\\n";
    else if (c == '\r')
      line += "\\r";
    else if (c == '\t')
      line += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      line += c;
  }
  if (message.size() > kMaxMessage) line += "…";
  return line;
}

}  // namespace

std::string Fault::to_string(std::string_view file) const {
  if (line == 0) return fmt::format("{}: {}", file, message);
  return fmt::format("{}:{}:{}: {}", file, line, column, message);
}

void Findings::List::add(Place place, std::string_view message) {
  ++count;
  kept.push_back({.line = place.line, .column = place.column, .message = one_line(message)});
  if (kept.size() < 2 * LoadResult::kMostFaults) return;
  sort();
  kept.resize(LoadResult::kMostFaults);
}

void Findings::List::sort() {
  std::stable_sort(kept.begin(), kept.end(), [](const Fault& a, const Fault& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
}

std::vector<Fault> Findings::List::finish(std::string_view noun) {
  sort();
  if (count > LoadResult::kMostFaults) {
    kept.resize(LoadResult::kMostFaults);
    kept.push_back({.message = fmt::format("and {} more {}", count - kept.size(), noun)});
  }
  return std::move(kept);
}

void Findings::fault(Place place, std::string_view message) {
  faults_.add(place, message);
}

void Findings::warn(Place place, std::string_view message) {
  warnings_.add(place, message);
}

std::string Findings::suggest(std::string_view name, std::span<const std::string_view> candidates) {
  if (suggestions_left_ == 0) return {};
  --suggestions_left_;
  const std::string_view own = own_word_for_value(name);
  if (!own.empty() && std::ranges::find(candidates, own) != candidates.end())
    return fmt::format(": Weir's word for it is \"{}\"", own);
  const std::string_view best = nearest(name, candidates);
  return is_near(name, best) ? fmt::format(": did you mean \"{}\"?", best) : std::string();
}

LoadResult Findings::finish() {
  LoadResult out;
  out.faults = faults_.finish("faults");
  if (faults_.count > LoadResult::kMostFaults) out.faults_left_out = faults_.count - LoadResult::kMostFaults;
  out.warnings = warnings_.finish("warnings");
  out.written = std::move(written_);
  return out;
}

std::string shown(std::string_view text) {
  return fmt::format("\"{}{}\"", cut(text, kMaxShown), text.size() > kMaxShown ? "…" : "");
}

std::string value_fault(std::string_view key, std::string_view value, std::string_view what) {
  if (what.starts_with(fmt::format("\"{}\"", value))) return fmt::format("{}: {}", key, what);
  return fmt::format("{} = {}: {}", key, shown(value), what);
}

}  // namespace weir
