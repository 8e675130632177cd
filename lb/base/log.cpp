#include "lb/base/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <memory>
#include <mutex>

#include "lb/base/line_writer.h"

namespace weir {
namespace {

constexpr std::chrono::milliseconds kFlushPatience{1'000};

/// Its lock is for the formatter, and never held over a system call.
class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void flush_lines() { writer_.flush(kFlushPatience); }
  void put(std::string_view lines) { writer_.put(lines); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (!colored_ || message.color_range_end <= message.color_range_start)
      return writer_.put({line.data(), line.size()});
    const std::string_view text(line.data(), line.size());
    writer_.put(fmt::format(
        "{}{}{}\x1b[m{}", text.substr(0, message.color_range_start), color(message.level),
        text.substr(message.color_range_start, message.color_range_end - message.color_range_start),
        text.substr(message.color_range_end)));
  }
  void flush_() override {}

  static std::string_view color(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::info:
        return "\x1b[32m";
      case spdlog::level::warn:
        return "\x1b[33m\x1b[1m";
      case spdlog::level::err:
      case spdlog::level::critical:
        return "\x1b[31m\x1b[1m";
      default:
        return "";
    }
  }

  LineWriter writer_{STDERR_FILENO};
  const bool colored_ = ::isatty(STDERR_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
};

std::shared_ptr<LineSink> line_sink;

}  // namespace

spdlog::logger& daemon_log() {
  return *spdlog::default_logger_raw();
}

void init_daemon_log(spdlog::level::level_enum level) {
  line_sink = std::make_shared<LineSink>();
  auto logger = std::make_shared<spdlog::logger>("weir", line_sink);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
  logger->set_level(level);
  spdlog::set_default_logger(std::move(logger));
}

void relay_to_daemon_log(std::string_view lines) {
  if (line_sink) line_sink->put(lines);
}

void flush_daemon_log() {
  if (line_sink) line_sink->flush_lines();
}

std::string quoted(std::string_view text) {
  const auto plain = [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '='; };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c < ' ' || c >= 0x7f)
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out += '"';
}

std::optional<std::chrono::system_clock::time_point> parse_time(const std::string& text) {
  std::tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  double fraction = 0;
  if (*rest == '.') {
    const auto [end, error] = std::from_chars(rest, text.c_str() + text.size(), fraction);
    if (error != std::errc()) return std::nullopt;
    rest = end;
  }
  if (std::string_view(rest) != "Z") return std::nullopt;
  const auto millis = std::chrono::milliseconds(std::lround(fraction * 1000));
  return std::chrono::system_clock::from_time_t(::timegm(&parts)) + millis;
}

std::string format_time(std::chrono::system_clock::time_point time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<milliseconds>(time - day));
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

}  // namespace weir
