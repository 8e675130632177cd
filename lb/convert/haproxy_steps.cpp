// What "tcp-check" says and hears.
#include "lb/convert/haproxy_steps.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace weir::convert::haproxy {

namespace {

std::optional<std::string> bytes_of_hex(std::string_view text) {
  std::string out;
  if (text.empty() || text.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    if (error != std::errc{} || end != text.data() + i + 2) return std::nullopt;
    out += static_cast<char>(value);
  }
  return out;
}

/// What an answer must contain, in bytes; nothing where it is no plain text.
std::optional<std::string> bytes_of(const Expectation& expected) {
  if (expected.negated || expected.pattern.empty()) return std::nullopt;
  if (expected.match == "binary") return bytes_of_hex(expected.pattern);
  const bool is_plain = expected.pattern.find_first_of("^$.*+?()[]{}|\\") == std::string::npos;
  if (expected.match == "string" || (expected.match == "rstring" && is_plain)) return expected.pattern;
  return std::nullopt;
}

}  // namespace

Expectation expectation_of(const Line& line) {
  constexpr std::string_view kOptions[] = {"min-recv",    "comment",    "ok-status", "error-status",
                                           "tout-status", "on-success", "on-error",  "status-code"};
  Expectation out;
  std::size_t i = 2;
  while (std::ranges::find(kOptions, line.word(i)) != std::end(kOptions)) i += 2;
  for (; line.word(i) == "!"; ++i) out.negated = !out.negated;
  out.match = line.word(i);
  out.pattern = line.word(i + 1);
  return out;
}

void read_check_connect(const Line& line, bool http, const Comments& comments, Table& health, Table& notes) {
  for (std::size_t i = 2; i < line.words.size(); ++i) {
    const std::string word = line.words[i];
    const bool has_argument = word == "port" || word == "addr" || word == "sni" || word == "alpn" ||
                              word == "proto" || word == "comment" || word == "via-socks4";
    const auto argument = has_argument ? line.word(++i) : "";
    if (word == "port" && number_in(argument, 1, 65'535) && !health.has("port"))
      health.set("port", argument);
    else if (word == "ssl" && http)
      health.set("https", "true");
    else if (word != "comment" && word != "default" && word != "linger" && word != "ssl")
      comments.add(notes, line,
                   fmt::format("{}{}{}: the probe connects as its backend's sessions do, or to port or "
                               "address of [pool.backend.health]",
                               word, argument.empty() ? "" : " ", argument));
  }
}

void Steps::send(std::string_view bytes) {
  if (bytes.empty()) return;
  if (steps_.empty() || !steps_.back().expect.empty()) steps_.emplace_back();
  steps_.back().send += bytes;
}

void Steps::expect(const Line& line, Table& notes) {
  const auto bytes = bytes_of(expectation_of(line));
  if (!bytes)
    return comments_.add(notes, line,
                         "left out: expect is a text, and reject one that must not come before it; "
                         "neither is an expression");
  if (!steps_.empty() && !steps_.back().expect.empty())
    comments_.add(notes, line,
                  "looked for in the whole answer there, in Weir behind what was expected before");
  if (steps_.empty() || !steps_.back().expect.empty()) steps_.emplace_back();
  steps_.back().expect = *bytes;
}

void Steps::add(const Line& line, Table& health, Table& notes) {
  const auto what = line.word(1);
  if (what == "send") {
    send(line.word(2));
  } else if (what == "send-binary") {
    if (const auto bytes = bytes_of_hex(line.word(2)))
      send(*bytes);
    else
      comments_.add(notes, line, "left out: it is no list of bytes");
  } else if (what == "expect") {
    expect(line, notes);
  } else if (what == "connect") {
    over_tls_ = over_tls_ || std::ranges::find(line.words, "ssl") != line.words.end();
    if (!steps_.empty())
      comments_.add(notes, line, "a probe connects once: what follows is said in the same connection here");
    read_check_connect(line, false, comments_, health, notes);
  } else if (what != "comment") {
    comments_.add(notes, line, kNoEqual);
  }
}

void Steps::write(const Line& kind, Table& health, Table& notes) const {
  constexpr std::size_t kMostSteps = 16;
  const bool expects = std::ranges::any_of(steps_, [](const Step& step) { return !step.expect.empty(); });
  if (over_tls_) {
    health.set("probe", quoted_toml("tls"));
    health.set("verify", "false");
    if (!steps_.empty())
      comments_.add(notes, kind,
                    "the check speaks over TLS there; Weir's expect probe speaks plainly, and here it "
                    "is a TLS handshake");
  } else if (!expects || steps_.size() > kMostSteps) {
    if (!steps_.empty())
      comments_.add(notes, kind,
                    "the probe is a connect: without a text in expect, or with over 16 steps, Weir "
                    "asks nothing");
  } else if (steps_.size() == 1) {
    health.set("probe", quoted_toml("expect"));
    if (!steps_[0].send.empty()) health.set("send", bytes_toml(steps_[0].send));
    health.set("expect", bytes_toml(steps_[0].expect));
  } else {
    std::vector<std::string> texts;
    for (const Step& step : steps_) {
      std::vector<std::string> keys;
      if (!step.send.empty()) keys.push_back("send = " + bytes_toml(step.send));
      if (!step.expect.empty()) keys.push_back("expect = " + bytes_toml(step.expect));
      texts.push_back(fmt::format("{{ {} }}", fmt::join(keys, ", ")));
    }
    health.set("probe", quoted_toml("expect"));
    health.set("steps", fmt::format("[{}]", fmt::join(texts, ", ")));
  }
}

}  // namespace weir::convert::haproxy
