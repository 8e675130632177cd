#include "lb/convert/nginx_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "lb/convert/draft.h"

namespace weir::convert::nginx {

namespace {

class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) {}

  /// Up to the end of the block, or of the file.
  std::vector<Directive> block(std::size_t depth = 0) {
    std::vector<Directive> out;
    Directive now;
    for (auto word = next(); word; word = next()) {
      if (now.words.empty()) now.line = line_;
      if (*word == ";" && plain_) {
        if (!now.words.empty()) out.push_back(std::exchange(now, {}));
      } else if (*word == "{" && plain_) {
        if (depth >= kDeepest) return out;
        now.block = block(depth + 1);
        out.push_back(std::exchange(now, {}));
      } else if (*word == "}" && plain_) {
        return out;
      } else {
        now.words.push_back(*word);
      }
    }
    return out;
  }

 private:
  static constexpr std::size_t kDeepest = 64;

  std::optional<std::string> next() {
    while (!text_.empty() && (is_blank(text_[0]) || text_[0] == '#')) {
      if (text_[0] == '#') text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
      if (!text_.empty()) take();
    }
    if (text_.empty()) return std::nullopt;
    plain_ = true;
    if (std::string_view(";{}").find(text_[0]) != std::string_view::npos) return std::string(1, take());
    const char quote = text_[0] == '"' || text_[0] == '\'' ? take() : '\0';
    plain_ = false;
    std::string out;
    while (!text_.empty()) {
      const char c = text_[0];
      if (quote != 0 ? c == quote : is_blank(c) || c == ';' || c == '{' || c == '}') break;
      if (c == '\\' && text_.size() > 1) take();
      out += take();
    }
    if (quote != 0 && !text_.empty()) take();
    return out;
  }
  static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
  char take() {
    const char c = text_[0];
    if (c == '\n') ++line_;
    text_.remove_prefix(1);
    return c;
  }

  std::string_view text_;
  std::size_t line_ = 1;
  bool plain_ = false;  ///< the last word is a sign, and was not in quotes
};

}  // namespace

std::string Directive::text() const {
  return fmt::format("{}", fmt::join(words, " "));
}

std::vector<Directive> directives_of(std::string_view text) {
  return Tokens(text).block();
}

std::optional<std::string> duration_of(std::string_view text) {
  unsigned long long all = 0;
  while (!text.empty()) {
    unsigned long long value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    static constexpr std::pair<std::string_view, unsigned long long> kUnits[] = {
        {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
    unsigned long long unit = 1'000;
    for (const auto& [name, millis] : kUnits)
      if (text.starts_with(name)) {
        unit = millis;
        text.remove_prefix(name.size());
        break;
      }
    if (!text.empty() && (text[0] < '0' || text[0] > '9')) return std::nullopt;
    all += value * unit;
  }
  return all == 0 ? std::nullopt : std::optional(duration_toml(all));
}

std::optional<std::string> address_of(const std::string& text) {
  if (text.starts_with("unix:")) return text;
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos) return "0.0.0.0:" + text;
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || text.ends_with(']')) return std::nullopt;
  return text.starts_with("*:") ? "0.0.0.0" + text.substr(1) : text;
}

std::string rate_of(std::string text) {
  if (text.empty() || text == "0") return "0";
  const char unit = text.back();
  if (unit == 'k' || unit == 'K' || unit == 'm' || unit == 'M') {
    text.pop_back();
    return text + (unit == 'k' || unit == 'K' ? "KiB" : "MiB");
  }
  return text + "B";
}

}  // namespace weir::convert::nginx
