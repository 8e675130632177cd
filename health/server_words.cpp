#include "health/server_words.h"

#include <fmt/format.h>

#include <iterator>

#include "lb/base/log.h"

namespace weir {
namespace {

constexpr std::size_t kMaxWords = 200;
constexpr std::size_t kMaxStart = 40;

}  // namespace

std::string server_words(std::string_view said) {
  while (!said.empty() && std::string_view(" \t\r\n").find(said.back()) != std::string_view::npos)
    said.remove_suffix(1);
  std::string out;
  for (const char c : said) {
    std::string one(1, c);
    if (c < ' ' || c == 0x7f) one = fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    if (out.size() + one.size() > kMaxWords) return out += "…";
    out += one;
  }
  return out;
}

std::string shown_start(std::string_view said) {
  return said.empty() ? "nothing" : quoted(said.substr(0, kMaxStart));
}

std::optional<std::string> Lines::next() {
  const std::size_t end = bytes_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = bytes_.substr(0, end);
  if (line.ends_with('\r')) line.pop_back();
  bytes_.erase(0, end + 1);
  return line;
}

}  // namespace weir
