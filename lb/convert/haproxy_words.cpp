#include "lb/convert/haproxy_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "lb/convert/draft.h"

namespace weir::convert::haproxy {

namespace {

/// Quotes, backslashes and comments as in chapter 2.2.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> out;
  std::string word;
  bool begun = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      word += line[++i];
      begun = true;
    } else if (quote != 0 ? c == quote : c == '"' || c == '\'') {
      quote = quote != 0 ? '\0' : c;
      begun = true;
    } else if (quote == 0 && (c == '#' || c == ' ' || c == '\t' || c == '\r')) {
      if (begun) out.push_back(std::exchange(word, ""));
      begun = false;
      if (c == '#') break;
    } else {
      word += c;
      begun = true;
    }
  }
  if (begun) out.push_back(word);
  return out;
}

/// Chapter 2.5: milliseconds where no unit is given.
std::optional<unsigned long long> millis_of(const std::string& text) {
  unsigned long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error != std::errc()) return std::nullopt;
  if (unit == "us") return (value + 999) / 1000;
  if (unit.empty() || unit == "ms") return value;
  if (unit == "s") return value * 1'000;
  if (unit == "m") return value * 60'000;
  if (unit == "h") return value * 3'600'000;
  if (unit == "d") return value * 86'400'000;
  return std::nullopt;
}

}  // namespace

std::vector<Section> sections_of(std::string_view text) {
  constexpr std::string_view kHeads[] = {"global",    "defaults",    "frontend", "backend",     "listen",
                                         "resolvers", "peers",       "userlist", "mailers",     "program",
                                         "cache",     "http-errors", "ring",     "log-forward", "fcgi-app",
                                         "crt-store", "traces",      "acme"};
  std::vector<Section> out;
  std::size_t number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    Line line{++number, words_of(text.substr(0, end))};
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.words.empty()) continue;
    if (std::ranges::find(kHeads, line.words[0]) != std::end(kHeads))
      out.push_back({std::move(line), {}});
    else if (!out.empty())
      out.back().lines.push_back(std::move(line));
  }
  return out;
}

std::optional<std::string> duration_of(const std::string& text) {
  const auto millis = millis_of(text);
  if (!millis || *millis == 0) return std::nullopt;
  return duration_toml(*millis);
}

std::optional<std::string> address_of(std::string text, const std::string& any) {
  for (const std::string_view family : {"ipv4@", "ipv6@"})
    if (text.starts_with(family)) text.erase(0, family.size());
  if (text.starts_with("unix@")) return "unix:" + text.substr(5);
  if (text.starts_with("abns@")) return "unix:@" + text.substr(5);
  if (text.starts_with("/")) return "unix:" + text;
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size()) return std::nullopt;
  auto host = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  if (port.find_first_not_of("0123456789") != std::string::npos || port == "0") return std::nullopt;
  if (host.empty() || host == "*") host = any;
  if (host == "::") host = "[::]";
  if (host.find(':') != std::string::npos && !host.starts_with('[')) host = "[" + host + "]";
  return host + ":" + port;
}

}  // namespace weir::convert::haproxy
