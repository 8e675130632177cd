#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "health/server_words.h"
#include "health/talk.h"

namespace weir {
namespace {

constexpr std::size_t kMaxLines = 100;  ///< of one reply

std::string name_of_this_host() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "weir";
  return name.data();
}

/// The greeting, EHLO, QUIT. Each reply is one or more lines, "250-..." and at last "250 ...".
class SmtpTalk final : public Talk {
 public:
  explicit SmtpTalk(const ProbeConfig& config)
      : ehlo_(fmt::format("EHLO {}\r\n", config.host.empty() ? name_of_this_host() : config.host)) {}

  Heard begin(std::string&) override { return {}; }

  Heard hear(std::string_view bytes, std::string& words) override {
    lines_.add(bytes);
    while (const auto line = lines_.next()) {
      Heard heard = line->size() > Lines::kMaxLine ? endless() : judge(*line, words);
      if (heard.state != Heard::State::More) return heard;
    }
    return lines_.too_long() ? endless() : Heard();
  }

  Heard hear_end() override {
    return Heard::failed(fmt::format("closed by the backend {}, got {}",
                                     greeted_ ? "after EHLO" : "before its greeting",
                                     shown_start(lines_.rest())));
  }

 private:
  static Heard endless() { return Heard::failed("a line without an end"); }

  static bool is_reply(std::string_view line) {
    return line.size() >= 3 && line[0] >= '2' && line[0] <= '5' &&
           std::isdigit(static_cast<unsigned char>(line[1])) != 0 &&
           std::isdigit(static_cast<unsigned char>(line[2])) != 0 &&
           (line.size() == 3 || line[3] == ' ' || line[3] == '-');
  }

  Heard judge(std::string_view line, std::string& words) {
    if (!is_reply(line)) return Heard::failed(fmt::format("this is not SMTP, got {}", shown_start(line)));
    if (!line.starts_with(greeted_ ? "250" : "220")) {
      words += "QUIT\r\n";
      return Heard::failed(server_words(line));
    }
    const bool last = line.size() == 3 || line[3] == ' ';
    if (!last && ++lines_of_reply_ < kMaxLines) return {};
    if (!last) return Heard::failed("a reply without an end");
    lines_of_reply_ = 0;
    words += greeted_ ? "QUIT\r\n" : ehlo_;
    if (greeted_) return Heard::passed();
    greeted_ = true;
    return {};
  }

  const std::string ehlo_;
  Lines lines_;
  std::size_t lines_of_reply_ = 0;
  bool greeted_ = false;
};

}  // namespace

std::unique_ptr<Talk> make_smtp_talk(const ProbeConfig& config) {
  return std::make_unique<SmtpTalk>(config);
}

}  // namespace weir
