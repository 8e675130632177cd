#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "lb/base/error.h"
#include "lb/base/fd.h"

namespace weir {

/// RFC 5424, table 2.
enum class Severity : std::uint8_t { Error = 3, Warning = 4, Notice = 5, Info = 6, Debug = 7 };

/// Where a log goes: "syslog:" is the host's own, "syslog:/path" a socket of that path.
inline constexpr std::string_view kSyslog = "syslog:";
inline constexpr const char* kSyslogSocket = "/dev/log";
/// The path of such a target; "" when it is another one.
std::string syslog_path(std::string_view target);

/// One message, RFC 5424, of facility "daemon" and without structured data. `kind`: its MSGID, "access".
std::string syslog_message(Severity severity, std::chrono::system_clock::time_point time,
                           std::string_view kind, std::string_view text);

/// The datagram socket of a syslog daemon. It connects again when that daemon is another one. One thread.
class SyslogSocket {
 public:
  /// An error names the path.
  static Result<SyslogSocket> open(std::string path);

  /// Never waits. 0, or an errno: EAGAIN when its queue is full.
  int send(std::string_view message);
  /// Until it may take something, or for so long.
  void wait(std::chrono::milliseconds at_most) const;

 private:
  explicit SyslogSocket(std::string path) : path_(std::move(path)) {}
  int connect();

  std::string path_;
  Fd fd_;
};

}  // namespace weir
