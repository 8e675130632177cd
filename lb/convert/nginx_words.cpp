#include "lb/convert/nginx_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "lb/base/address.h"
#include "lb/convert/toml_words.h"

namespace weir::convert::nginx {

namespace {

class Tokens {
 public:
  explicit Tokens(std::string_view text) : whole_(text), text_(text) {}

  /// Up to the end of the block, or of the file.
  std::vector<Directive> block(std::size_t depth = 0) {
    std::vector<Directive> out;
    Directive now;
    std::size_t begin = 0;
    for (auto word = next(); word; word = next()) {
      if (now.words.empty()) {
        now.line = first_line_;
        begin = begin_;
      }
      if (plain_) now.written = on_one_line(whole_.substr(begin, begin_ - begin));
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
    begin_ = whole_.size() - text_.size();
    first_line_ = line_;
    if (std::string_view(";{}").find(text_[0]) != std::string_view::npos) return std::string(1, take());
    const char quote = text_[0] == '"' || text_[0] == '\'' ? take() : '\0';
    plain_ = false;
    std::string out;
    bool variable = false;
    while (!text_.empty()) {
      const char c = text_[0];
      if (quote != 0 ? c == quote : ends_word(c, variable)) break;
      variable = (variable && c != '}') || text_.starts_with("${");
      if (c == '\\' && text_.size() > 1)
        out += escaped();
      else
        out += take();
    }
    if (quote != 0 && !text_.empty()) take();
    return out;
  }
  static bool ends_word(char c, bool variable) {
    return is_blank(c) || c == ';' || ((c == '{' || c == '}') && !variable);
  }
  /// What is no escape stays with its backslash, like \. of a regular expression.
  std::string escaped() {
    take();
    const char c = text_[0];
    constexpr std::string_view kEscapes = "\"'\\trn", kMeant = "\"'\\\t\r\n";
    const auto found = kEscapes.find(c);
    if (found == kEscapes.npos) return "\\";
    take();
    return std::string(1, kMeant[found]);
  }
  static std::string on_one_line(std::string_view text) {
    std::string out;
    for (const char c : text)
      if (!is_blank(c))
        out += c;
      else if (!out.empty() && out.back() != ' ')
        out += ' ';
    while (out.ends_with(' ')) out.pop_back();
    return out;
  }
  static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
  char take() {
    const char c = text_[0];
    if (c == '\n') ++line_;
    text_.remove_prefix(1);
    return c;
  }

  const std::string_view whole_;
  std::string_view text_;
  std::size_t line_ = 1;
  std::size_t first_line_ = 1, begin_ = 0;  ///< of the last word
  bool plain_ = false;                      ///< the last word is a sign, and was not in quotes
};

}  // namespace

std::vector<Directive> directives_of(std::string_view text) {
  return Tokens(text).block();
}

std::optional<unsigned long long> millis_of(std::string_view text) {
  unsigned long long all = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    unsigned long long value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    static constexpr std::pair<std::string_view, unsigned long long> kUnits[] = {
        {"ms", 1},         {"s", 1'000},       {"m", 60'000},        {"h", 3'600'000},
        {"d", 86'400'000}, {"w", 604'800'000}, {"M", 2'592'000'000}, {"y", 31'536'000'000}};
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
  return all;
}

std::optional<std::string> duration_of(std::string_view text) {
  const auto millis = millis_of(text);
  constexpr unsigned long long kMostHours = 10'000ULL * 3'600'000;
  return !millis || *millis == 0 || *millis > kMostHours ? std::nullopt
                                                         : std::optional(duration_toml(*millis));
}

std::optional<std::string> bind_of(const std::string& text) {
  if (text.starts_with("unix:"))
    return Address::parse_unix(std::string_view(text).substr(5)) ? std::optional(text) : std::nullopt;
  std::string address = text;
  if (text.find(':') == std::string::npos)
    address = "0.0.0.0:" + text;
  else if (text.starts_with("*:"))
    address = "0.0.0.0" + text.substr(1);
  const auto parsed = Address::parse_ip_port(address);
  return parsed && parsed->port() != 0 ? std::optional(address) : std::nullopt;
}

std::optional<std::string> server_address_of(const std::string& text) {
  return parse_endpoint(text) ? std::optional(text) : std::nullopt;
}

std::optional<std::string> rate_of(std::string text) {
  std::string unit = "B";
  if (text.ends_with('k') || text.ends_with('K')) unit = "KiB";
  if (text.ends_with('m') || text.ends_with('M')) unit = "MiB";
  if (unit != "B") text.pop_back();
  constexpr unsigned long long kMost = 1'000'000'000;
  if (!number_in(text, 0, kMost)) return std::nullopt;
  return text == "0" ? "0" : text + unit;
}

}  // namespace weir::convert::nginx
