#include <fmt/format.h>

#include "health/server_words.h"
#include "health/talk.h"

namespace weir {
namespace {

constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
constexpr std::string_view kRole = "*1\r\n$4\r\nROLE\r\n";
constexpr std::string_view kQuit = "*1\r\n$4\r\nQUIT\r\n";

/// PING, with `role` then ROLE, and QUIT:
///   +PONG -> ROLE -> "*3", "$6", "master"
/// A server that wants a password first is alive, but does not say what it is.
class RedisTalk final : public Talk {
 public:
  explicit RedisTalk(const ProbeConfig& config) : role_(config.role) {}

  Heard begin(std::string& words) override {
    words += kPing;
    return {};
  }

  Heard hear(std::string_view bytes, std::string& words) override {
    lines_.add(bytes);
    while (const auto line = lines_.next()) {
      Heard heard = line->size() > Lines::kMaxLine ? endless() : judge(*line);
      if (heard.state == Heard::State::More && line_ == 1) words += kRole;
      if (heard.state == Heard::State::More) continue;
      words += kQuit;
      return heard;
    }
    if (!lines_.too_long()) return {};
    words += kQuit;
    return endless();
  }

  Heard hear_end() override {
    return Heard::failed(fmt::format("closed by the backend, got {}", shown_start(lines_.rest())));
  }

 private:
  static Heard endless() { return Heard::failed("a line without an end"); }

  Heard judge(std::string_view line) {
    if (line.starts_with('-')) return refused(line.substr(1));
    switch (line_++) {
      case 0:
        if (line != "+PONG") break;
        return role_.empty() ? Heard::passed() : Heard();
      case 1:
        if (!line.starts_with('*')) break;
        return {};
      case 2:
        if (!line.starts_with('$')) break;
        return {};
      default:
        return judge_role(line == "slave" ? "replica" : line);
    }
    return Heard::failed(fmt::format("this is not Redis, got {}", shown_start(line)));
  }

  Heard refused(std::string_view error) const {
    const bool only_us = error.starts_with("NOAUTH") || error.starts_with("NOPERM");
    return only_us && role_.empty() ? Heard::passed() : Heard::failed(server_words(error));
  }

  Heard judge_role(std::string_view role) const {
    if (role == role_) return Heard::passed();
    return Heard::failed(fmt::format("its role is {}, not {}", server_words(role), role_));
  }

  const std::string& role_;
  Lines lines_;
  int line_ = 0;  ///< of the answers
};

}  // namespace

std::unique_ptr<Talk> make_redis_talk(const ProbeConfig& config) {
  return std::make_unique<RedisTalk>(config);
}

}  // namespace weir
