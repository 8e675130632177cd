#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lb/base/error.h"

namespace weir {

/// How both logs are written.
enum class LogFormat : std::uint8_t { Text, Json };

constexpr std::string_view to_string(LogFormat format) {
  constexpr std::string_view kNames[] = {"text", "json"};
  return kNames[static_cast<std::size_t>(format)];
}

/// How the daemon's log (daemon_log()) is written: "2026-01-31T10:00:00.123Z level message", or a JSON object
/// with time, level and message. Where it goes: "stderr", which gets priorities where it is the journal's
/// (sd-daemon(3)), or one of syslog_path(). init_daemon_log() begins with text on stderr.
struct DaemonLogStyle {
  LogFormat format = LogFormat::Text;
  std::string target = "stderr";

  friend bool operator==(const DaemonLogStyle&, const DaemonLogStyle&) = default;
};

/// Another style, made ready: an error leaves the log as it is, and without take() nothing is changed. The
/// control thread only.
class NextDaemonLog {
 public:
  static Result<NextDaemonLog> open(const DaemonLogStyle& style);
  NextDaemonLog(NextDaemonLog&&) noexcept;
  NextDaemonLog& operator=(NextDaemonLog&&) noexcept;
  ~NextDaemonLog();
  /// From the next line on. What has been said goes where it was to go.
  void take() &&;

 private:
  struct Made;
  explicit NextDaemonLog(std::unique_ptr<Made> made);
  std::unique_ptr<Made> made_;
};

}  // namespace weir
