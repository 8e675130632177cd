#include <fmt/format.h>

#include <algorithm>

#include "health/server_words.h"
#include "health/talk.h"

namespace weir {
namespace {

// https://www.postgresql.org/docs/current/protocol-message-formats.html
constexpr std::uint32_t kProtocol3 = 3U << 16;
constexpr std::size_t kHeader = 5;           ///< type, length
constexpr std::size_t kMaxMessage = 30'000;  ///< libpq's own limit before the session has begun
constexpr std::string_view kTerminate("X\0\0\0\4", 5);

std::string number(std::uint32_t value) {
  std::string out(4, '\0');
  for (int i = 3; i >= 0; --i, value >>= 8)
    out[static_cast<std::size_t>(i)] = static_cast<char>(value & 0xFF);
  return out;
}

std::uint32_t number_in(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

/// Up to the next NUL, which is taken, too.
std::string_view take_text(std::string_view& bytes) {
  const std::size_t end = std::min(bytes.find('\0'), bytes.size());
  const std::string_view text = bytes.substr(0, end);
  bytes.remove_prefix(std::min(end + 1, bytes.size()));
  return text;
}

/// A StartupMessage without a password:
///   -> AuthenticationOk -> ParameterStatus ... -> ReadyForQuery: Terminate
///   -> another authentication is asked for, or refused for who we are: alive, too, and we leave
///   -> ErrorResponse: its message is the reason
class PostgresTalk final : public Talk {
 public:
  explicit PostgresTalk(const ProbeConfig& config) : config_(config) {}

  Heard begin(std::string& words) override {
    const auto pair = [](std::string_view name, std::string_view value) {
      return fmt::format("{}{}{}{}", name, '\0', value, '\0');
    };
    std::string message = number(kProtocol3) + pair("user", config_.user);
    if (!config_.database.empty()) message += pair("database", config_.database);
    message += pair("application_name", "weir") + '\0';
    words += number(static_cast<std::uint32_t>(message.size() + 4)) + message;
    return {};
  }

  Heard hear(std::string_view bytes, std::string& words) override {
    bytes_ += bytes;
    while (bytes_.size() >= kHeader) {
      const char type = bytes_[0];
      const std::uint32_t length = number_in(std::string_view(bytes_).substr(1));
      if (std::string_view("RSKEZNv").find(type) == std::string_view::npos || length < 4)
        return old_error_or(fmt::format("this is not PostgreSQL, got {}", shown_start(bytes_)));
      if (length > kMaxMessage) return old_error_or("a message longer than any that can come here");
      if (bytes_.size() < length + 1) return {};
      const std::string message = bytes_.substr(kHeader, length - 4);
      bytes_.erase(0, length + 1);
      Heard heard = judge(type, message, words);
      if (heard.state != Heard::State::More) return heard;
    }
    return {};
  }

  Heard hear_end() override {
    return Heard::failed(fmt::format("closed by the backend, got {}", shown_start(bytes_)));
  }

 private:
  Heard judge(char type, std::string_view message, std::string& words) {
    if (type == 'R' && number_in(message) != 0) return asked_for_password();
    if (type == 'E') return refused(message);
    if (type == 'S' && take_text(message) == "in_hot_standby") standby_ = std::string(take_text(message));
    if (type != 'Z') return {};
    words += kTerminate;
    return judge_role();
  }

  Heard asked_for_password() const {
    if (config_.role.empty()) return Heard::passed();
    return Heard::failed(
        fmt::format("its role is not known: it asks {} for a password, which a probe has not",
                    server_words(config_.user)));
  }

  /// A server that cannot fork answers like one of the last century: an 'E', and then text.
  Heard old_error_or(std::string otherwise) const {
    if (bytes_[0] != 'E') return Heard::failed(std::move(otherwise));
    const std::size_t end = bytes_.find_first_of(std::string_view("\n\0", 2), 1);
    if (end == std::string::npos && bytes_.size() < kMaxMessage) return {};
    return Heard::failed(server_words(std::string_view(bytes_).substr(1, std::min(end, bytes_.size()) - 1)));
  }

  Heard refused(std::string_view message) const {
    std::string_view code, text;
    while (!message.empty() && message[0] != '\0') {
      const char field = message[0];
      message.remove_prefix(1);
      const std::string_view value = take_text(message);
      if (field == 'C') code = value;
      if (field == 'M') text = value;
    }
    // Class 28: this user may not. 3D000: no such database, which is the user's name unless one was named.
    const bool only_us = code.starts_with("28") || (code == "3D000" && config_.database.empty());
    if (only_us && config_.role.empty()) return Heard::passed();
    return Heard::failed(fmt::format("{} ({})", server_words(text), server_words(code.substr(0, 5))));
  }

  Heard judge_role() const {
    if (config_.role.empty()) return Heard::passed();
    if (standby_.empty())
      return Heard::failed("its role is not known: PostgreSQL tells it from version 14 on (in_hot_standby)");
    const std::string_view role = standby_ == "on" ? "standby" : "primary";
    if (role == config_.role) return Heard::passed();
    return Heard::failed(fmt::format("it is a {}, not a {}", role, config_.role));
  }

  const ProbeConfig& config_;
  std::string bytes_;    ///< of messages that are not whole yet
  std::string standby_;  ///< in_hot_standby, when it has been told
};

}  // namespace

std::unique_ptr<Talk> make_postgres_talk(const ProbeConfig& config) {
  return std::make_unique<PostgresTalk>(config);
}

}  // namespace weir
