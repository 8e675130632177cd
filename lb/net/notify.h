#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lb/base/duration.h"

namespace weir {

/// Speaks to the service manager by its notification protocol (sd_notify(3), whose datagrams systemd promises
/// to keep as they are): "NAME=value" lines to the unix socket named in NOTIFY_SOCKET. A value.
class Notifier {
 public:
  /// "" = there is no service manager; every word is then lost. "@name" is an abstract socket.
  explicit Notifier(std::string_view notify_socket) : socket_(notify_socket) {}

  bool listening() const { return !socket_.empty(); }
  /// Waits for a second at most where the manager is behind with reading: what is said here counts.
  void say(std::string_view lines) const;
  /// The same without waiting: there will be another.
  void ping(std::string_view lines) const;

 private:
  void send(std::string_view lines, bool wait) const;

  std::string socket_;
};

/// The watchdog's limit as systemd hands it to this process: WATCHDOG_USEC, unless WATCHDOG_PID names
/// another.
std::optional<Millis> watchdog_limit(const char* usec, const char* pid);

/// Of CLOCK_MONOTONIC, as RELOADING=1 must carry it.
std::uint64_t monotonic_usec();

}  // namespace weir
