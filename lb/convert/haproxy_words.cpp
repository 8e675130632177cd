#include "lb/convert/haproxy_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "lb/base/address.h"

namespace weir::convert::haproxy {

namespace {

std::optional<char> byte_of_hex(std::string_view digits) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) return std::nullopt;
  return static_cast<char>(value);
}

/// One line's words: quotes, escapes and the comment as in chapter 2.2.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  Line line(std::size_t number) {
    while (at_ < text_.size() && !(quote_ == 0 && text_[at_] == '#')) step();
    end_word();
    Line out;
    out.number = number;
    out.words = std::move(words_);
    out.has_variables = has_variables_;
    const auto written = text_.substr(0, at_);
    const auto first = written.find_first_not_of(" \t\r");
    if (first != written.npos)
      out.written = written.substr(first, written.find_last_not_of(" \t\r") + 1 - first);
    return out;
  }

 private:
  void step() {
    const char c = text_[at_];
    if (c == '\\' && quote_ != '\'') return escape();
    ++at_;
    if (quote_ != 0 ? c == quote_ : c == '"' || c == '\'') {
      quote_ = quote_ != 0 ? '\0' : c;
      begun_ = true;
    } else if (quote_ == 0 && (c == ' ' || c == '\t' || c == '\r')) {
      end_word();
    } else {
      has_variables_ = has_variables_ || (c == '$' && quote_ == '"' && begins_variable());
      add(c);
    }
  }

  /// What is no escape stays with its backslash, like \. of a regular expression.
  void escape() {
    const auto next = text_.substr(at_ + 1, 1);
    const auto hex =
        text_.substr(at_ + 1).starts_with('x') ? byte_of_hex(text_.substr(at_ + 2, 2)) : std::nullopt;
    if (next == "r" || next == "n" || next == "t") {
      add(next == "r" ? '\r' : next == "n" ? '\n' : '\t');
      at_ += 2;
    } else if (hex) {
      add(*hex);
      at_ += 4;
    } else if (!next.empty() && std::string_view(" \\#'\"$").find(next) != std::string_view::npos) {
      add(next[0]);
      at_ += 2;
    } else {
      add('\\');
      ++at_;
    }
  }

  /// Behind a "$".
  bool begins_variable() const {
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    return c == '{' || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }

  void add(char c) {
    word_ += c;
    begun_ = true;
  }
  void end_word() {
    if (begun_) words_.push_back(std::exchange(word_, ""));
    begun_ = false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> words_;
  std::string word_;
  bool begun_ = false;
  bool has_variables_ = false;
  char quote_ = 0;
};

bool is_head(const std::string& word) {
  constexpr std::string_view kHeads[] = {"global",    "defaults",    "frontend", "backend",     "listen",
                                         "resolvers", "peers",       "userlist", "mailers",     "program",
                                         "cache",     "http-errors", "ring",     "log-forward", "fcgi-app",
                                         "crt-store", "traces",      "acme"};
  return std::ranges::find(kHeads, word) != std::end(kHeads);
}

/// Without the family that HAProxy lets one write before it.
std::string without_family(std::string text) {
  for (const std::string_view family : {"ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"})
    if (text.starts_with(family)) text.erase(0, family.size());
  return text;
}

/// "unix:" and a path or an abstract name; "" for no unix socket.
std::string unix_address_of(const std::string& text) {
  if (text.starts_with("unix@/")) return "unix:" + text.substr(5);
  if (text.starts_with("abns@")) return "unix:@" + text.substr(5);
  return text.starts_with("/") ? "unix:" + text : "";
}

struct HostAndPort {
  std::string host, port;
};

std::optional<HostAndPort> host_and_port_of(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || !number_in(std::string_view(text).substr(colon + 1), 1, 65'535))
    return std::nullopt;
  HostAndPort out{text.substr(0, colon), text.substr(colon + 1)};
  const bool bracketed = out.host.starts_with('[');
  if (out.host.find(':') != std::string::npos && !bracketed) out.host = "[" + out.host + "]";
  return out;
}

struct PortRange {
  std::string host;
  unsigned long long first, last;
};

/// "host:8000-8010"
std::optional<PortRange> port_range_of(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || text.find('/') != std::string::npos) return std::nullopt;
  const auto ports = std::string_view(text).substr(colon + 1);
  const auto dash = ports.find('-');
  if (dash == ports.npos) return std::nullopt;
  const auto first = number_in(ports.substr(0, dash), 1, 65'535),
             last = number_in(ports.substr(dash + 1), 1, 65'535);
  if (!first || !last || *first > *last) return std::nullopt;
  return PortRange{text.substr(0, colon), *first, *last};
}

}  // namespace

std::vector<std::string> Line::from(std::size_t i) const {
  return {words.begin() + static_cast<std::ptrdiff_t>(std::min(i, words.size())), words.end()};
}

bool is_in(std::initializer_list<std::string_view> words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

std::vector<Section> sections_of(std::string_view text) {
  std::vector<Section> out;
  std::size_t number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    Line line = Words(text.substr(0, end)).line(++number);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.words.empty()) continue;
    if (is_head(line.words[0])) {
      out.push_back({std::move(line), {}});
    } else {
      if (out.empty()) out.emplace_back();
      out.back().lines.push_back(std::move(line));
    }
  }
  return out;
}

void Comments::add(Table& at, const Line& line, std::string_view why) const {
  (line.inherited ? root_ : at).note(fmt::format("{}: {}", place(line), why));
}

std::string Comments::place(const Line& line) const {
  return place(line, line.written);
}

std::string Comments::place(const Line& line, std::string_view words) const {
  return fmt::format("{}:{}: {}", file_, line.number, words);
}

std::optional<unsigned long long> millis_of(const std::string& text) {
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  constexpr unsigned long long kMost = 1'000'000'000'000;
  const auto value = number_in(std::string_view(text).substr(0, digits), 0, kMost);
  const auto unit = std::string_view(text).substr(digits);
  if (!value) return std::nullopt;
  if (unit == "us") return (*value + 999) / 1000;
  if (unit.empty() || unit == "ms") return *value;
  if (unit == "s") return *value * 1'000;
  if (unit == "m") return *value * 60'000;
  if (unit == "h") return *value * 3'600'000;
  if (unit == "d") return *value * 86'400'000;
  return std::nullopt;
}

std::optional<std::string> duration_of(const std::string& text) {
  const auto millis = millis_of(text);
  constexpr unsigned long long kMostDays = 24ULL * 86'400'000;
  if (!millis || *millis == 0 || *millis > kMostDays) return std::nullopt;
  return duration_toml(*millis);
}

std::vector<std::string> binds_of(const std::string& text, bool only_v6) {
  constexpr unsigned long long kMostPorts = 100;
  if (const auto range = port_range_of(text)) {
    std::vector<std::string> all;
    for (auto port = range->first; port <= range->last && range->last - range->first < kMostPorts; ++port)
      for (const auto& address : binds_of(fmt::format("{}:{}", range->host, port), only_v6))
        all.push_back(address);
    return all;
  }
  const std::string plain = without_family(text);
  if (const auto path = unix_address_of(plain); !path.empty())
    return Address::parse_unix(std::string_view(path).substr(5)) ? std::vector{path}
                                                                 : std::vector<std::string>();
  auto parts = host_and_port_of(plain);
  if (!parts) return {};
  const bool every = parts->host.empty() || parts->host == "*";
  if (every) parts->host = text.starts_with("ipv6@") || text.starts_with("tcp6@") ? "[::]" : "0.0.0.0";
  const auto address = Address::parse_ip_port(parts->host + ":" + parts->port);
  if (!address) return {};
  std::vector<std::string> out;
  if (address->family() == AF_INET6 && address->is_wildcard() && !only_v6)
    out.push_back("0.0.0.0:" + parts->port);
  out.push_back(parts->host + ":" + parts->port);
  return out;
}

std::optional<std::string> server_address_of(const std::string& text) {
  const std::string plain = without_family(text);
  auto out = unix_address_of(plain);
  if (out.empty()) {
    const auto parts = host_and_port_of(plain);
    if (!parts) return std::nullopt;
    out = parts->host + ":" + parts->port;
  }
  return parse_endpoint(out) ? std::optional(out) : std::nullopt;
}

}  // namespace weir::convert::haproxy
