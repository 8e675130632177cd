// How HAProxy checks servers, as Weir's probes.
#include "lb/convert/haproxy_probe.h"

#include <fmt/format.h>

#include <algorithm>

#include "lb/convert/haproxy_steps.h"

namespace weir::convert::haproxy {

namespace {

/// What a Host header may hold.
bool is_header_text(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c != 0x7f; });
}

void set_path(const Line& line, const std::string& path, const Comments& comments, Table& health,
              Table& notes) {
  if (path.starts_with('/') && is_header_text(path))
    health.set("path", quoted_toml(path));
  else
    comments.add(notes, line, fmt::format("{}: path begins with / and has no space", path));
}

void say_method(const Line& line, const std::string& method, const Comments& comments, Table& notes) {
  if (method != "GET")
    comments.add(notes, line, fmt::format("{} is asked for there; Weir's probe is a GET", method));
}

void set_header(const Line& line, const std::string& name, const std::string& value, const Comments& comments,
                Table& health, Table& notes) {
  std::string lower = name;
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (lower == "host" && is_header_text(value))
    health.set("host", quoted_toml(value));
  else if (lower != "connection")
    comments.add(notes, line, fmt::format("{}: Weir's probe has no header but host", name));
}

/// The first digits of the status codes that "^2", "^2.." or "^[23]" is for; "" for another expression.
std::string first_digits_of(std::string_view expression) {
  if (!expression.starts_with('^')) return "";
  expression.remove_prefix(1);
  if (expression.ends_with("..")) expression.remove_suffix(2);
  if (expression.starts_with('[') && expression.ends_with(']'))
    expression = expression.substr(1, expression.size() - 2);
  else if (expression.size() != 1)
    return "";
  return expression.find_first_not_of("12345") == expression.npos ? std::string(expression) : "";
}

std::string statuses_of(std::string_view digits, bool negated) {
  std::string out;
  for (const char digit : std::string_view("12345"))
    if ((digits.find(digit) != digits.npos) != negated)
      out += fmt::format("{}{}00-{}99", out.empty() ? "" : ",", digit, digit);
  return out;
}

/// "200", "200-299,404": each within 100 to 599.
bool is_status_list(std::string_view text) {
  while (true) {
    const auto one = text.substr(0, text.find(','));
    const auto dash = one.find('-');
    const auto from = number_in(one.substr(0, dash), 100, 599);
    const auto to = dash == one.npos ? from : number_in(one.substr(dash + 1), 100, 599);
    if (!from || !to || *from > *to) return false;
    if (one.size() == text.size()) return true;
    text.remove_prefix(one.size() + 1);
  }
}

}  // namespace

bool Probe::option(const Line& line) {
  constexpr std::string_view kChecks[] = {"redis-check", "mysql-check",   "pgsql-check",   "smtpchk",
                                          "httpchk",     "ldap-check",    "ssl-hello-chk", "tcp-check",
                                          "spop-check",  "external-check"};
  if (std::ranges::find(kChecks, line.word(1)) == std::end(kChecks)) return false;
  kind_ = line;
  return true;
}

void Probe::rule(const Line& line) {
  if (!line.inherited) std::erase_if(rules_, [](const Line& one) { return one.inherited; });
  rules_.push_back(line);
}

void Probe::set_timeout(const Line& line) {
  if (const auto time = duration_of(line.word(2))) timeout_ = *time;
}

Table Probe::health(Table& notes, bool over_tls) const {
  Table out;
  const auto kind = kind_.word(1);
  const auto set = [&](std::string_view probe) { out.set("probe", quoted_toml(probe)); };
  if (kind == "httpchk") {
    set("http");
    http(out, notes);
  } else if (kind == "tcp-check") {
    set("tcp");
    tcp(out, notes);
  } else if (kind == "redis-check") {
    set("redis");
  } else if (kind == "mysql-check" || kind == "pgsql-check") {
    set(kind == "mysql-check" ? "mysql" : "postgres");
    user(out, notes);
  } else if (kind == "smtpchk") {
    set("smtp");
    if (is_header_text(kind_.word(3))) out.set("host", quoted_toml(kind_.word(3)));
  } else if (kind == "ssl-hello-chk") {
    set("tls");
    out.set("verify", "false");
  } else if (kind == "external-check") {
    external(out, notes);
  } else if (!kind.empty()) {
    set("tcp");
    comments_.add(notes, kind_, "Weir does not speak that protocol: the probe is a connect");
  }
  const std::string prefix = kind == "httpchk" ? "http-check" : kind;
  for (const Line& line : rules_)
    if (line.words[0] != prefix)
      comments_.add(
          notes, line,
          fmt::format("left out: the check is another one ({})", kind.empty() ? "a connect" : kind));
  const auto probe = out.value("probe");
  if (over_tls && probe == "\"http\"") {
    out.set("https", "true");
  } else if (over_tls && probe != "\"tls\"" && probe != "\"exec\"") {
    if (!probe.empty() && probe != "\"tcp\"")
      comments_.add(notes, kind_,
                    "it is asked over TLS there; Weir's probe of that kind speaks plainly, and here "
                    "it is a TLS handshake");
    out = Table();
    set("tls");
    out.set("verify", "false");
  }
  if (!timeout_.empty()) out.set("timeout", timeout_);
  return out;
}

void Probe::user(Table& health, Table& notes) const {
  const auto user = std::ranges::find(kind_.words, "user");
  if (user != kind_.words.end() && user + 1 != kind_.words.end())
    health.set("user", quoted_toml(*(user + 1)));
  else
    comments_.add(notes, kind_, "Weir's probe logs in, as user \"weir\" unless user says another");
}

void Probe::http_option(Table& health, Table& notes) const {
  if (kind_.words.size() == 2)
    return comments_.add(notes, kind_, "OPTIONS / is asked for there; Weir's probe is a GET");
  const bool has_method = kind_.words.size() > 3;
  say_method(kind_, has_method ? kind_.word(2) : "OPTIONS", comments_, notes);
  set_path(kind_, kind_.word(has_method ? 3 : 2), comments_, health, notes);
  std::string headers;
  for (const auto& word : kind_.from(5)) headers += (headers.empty() ? "" : " ") + word;
  std::string_view rest = kind_.word(4).find('\n') != std::string::npos ? kind_.words[4] : std::string_view();
  const std::string all = std::string(rest) + (headers.empty() ? "" : " " + headers);
  rest = all;
  while (!rest.empty()) {
    const auto one = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    const auto colon = one.find(':');
    if (colon == one.npos) continue;
    auto value = one.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    while (value.ends_with('\r') || value.ends_with(' ')) value.remove_suffix(1);
    set_header(kind_, std::string(one.substr(0, colon)), std::string(value), comments_, health, notes);
  }
}

void Probe::http(Table& health, Table& notes) const {
  const auto sends = [](const Line& line) { return line.words[0] == "http-check" && line.word(1) == "send"; };
  const bool has_send = std::ranges::any_of(rules_, sends);
  if (!has_send || kind_.words.size() > 2) http_option(health, notes);
  bool sent = false, expected = false;
  for (const Line& line : rules_) {
    if (line.words[0] != "http-check") continue;
    const auto what = line.word(1);
    if ((what == "send" && sent) || (what == "expect" && expected)) {
      comments_.add(notes, line,
                    "left out: a probe asks once and judges once; several are [pool.backend.health], "
                    "or probe = \"exec\"");
    } else if (what == "send") {
      sent = true;
      http_send(line, health, notes);
    } else if (what == "expect") {
      expected = true;
      http_expect(line, health, notes);
    } else if (what == "connect") {
      read_check_connect(line, true, comments_, health, notes);
    } else if (what != "comment") {
      comments_.add(notes, line, kNoEqual);
    }
  }
}

void Probe::http_send(const Line& line, Table& health, Table& notes) const {
  bool has_method = kind_.words.size() > 3;
  for (std::size_t i = 2; i < line.words.size(); ++i) {
    const auto& word = line.words[i];
    if (word == "meth") {
      has_method = true;
      say_method(line, line.word(++i), comments_, notes);
    } else if (word == "uri") {
      set_path(line, line.word(++i), comments_, health, notes);
    } else if (word == "ver" || word == "comment") {
      ++i;
    } else if (word == "hdr") {
      const auto name = line.word(i + 1), value = line.word(i + 2);
      i += 2;
      set_header(line, name, value, comments_, health, notes);
    } else {
      comments_.add(notes, line, fmt::format("{} {}: {}", word, line.word(i + 1), kNoEqual));
      ++i;
    }
  }
  if (!has_method) say_method(line, "OPTIONS", comments_, notes);
}

void Probe::http_expect(const Line& line, Table& health, Table& notes) const {
  const Expectation expected = expectation_of(line);
  const auto& match = expected.match;
  if (match == "status" && !expected.negated && is_status_list(expected.pattern)) {
    health.set("status", quoted_toml(expected.pattern));
  } else if (const auto digits = first_digits_of(expected.pattern); match == "rstatus" && !digits.empty()) {
    health.set("status", quoted_toml(statuses_of(digits, expected.negated)));
  } else if (match == "string" && !expected.negated && !expected.pattern.empty()) {
    // The status is not looked at there.
    health.set("status", quoted_toml("100-599"));
    health.set("body", quoted_toml(expected.pattern));
  } else {
    comments_.add(
        notes, line,
        "left out: status is a list of codes, like \"200-299,401\" (here 200-399), and body a text");
  }
}

void Probe::external(Table& health, Table& notes) const {
  std::string command;
  for (const Line& line : rules_) {
    if (line.words[0] != "external-check") continue;
    if (line.word(1) != "command") {
      comments_.add(notes, line, "Weir's exec probe has Weir's environment");
    } else if (line.word(2).starts_with('/')) {
      command = line.word(2);
      comments_.add(notes, line,
                    "the server's address is in its arguments there; here in WEIR_HOST, WEIR_PORT and "
                    "WEIR_ADDRESS of its environment");
    } else {
      comments_.add(notes, line, "left out: command is a program with its whole path");
    }
  }
  health.set("probe", quoted_toml(command.empty() ? "tcp" : "exec"));
  if (!command.empty())
    health.set("command", list_toml({command}));
  else
    comments_.add(notes, kind_, "no command: the probe is a connect; probe = \"exec\" runs one");
}

void Probe::tcp(Table& health, Table& notes) const {
  Steps steps(comments_);
  for (const Line& line : rules_)
    if (line.words[0] == "tcp-check") steps.add(line, health, notes);
  steps.write(kind_, health, notes);
}

}  // namespace weir::convert::haproxy
