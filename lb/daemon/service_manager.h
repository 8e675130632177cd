#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "lb/net/loop.h"
#include "lb/net/notify.h"
#include "lb/net/timer.h"

namespace weir {

/// What the service manager hears of this process: that it is ready, reloads, stops, is alive, and who
/// follows it. Without one every word is lost. Control thread only.
class ServiceManager {
 public:
  /// Calls back once every worker has answered: a process with a stuck worker must not seem alive.
  using Pulse = std::function<void(std::function<void()>)>;

  /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
  ServiceManager(Loop& loop, Pulse pulse);

  /// Serving (again); `status` is one line for whoever asks the manager.
  void ready(const std::string& status);
  void reloading();
  void stopping();
  /// `successor` is the service's main process from now on; nothing more is heard of this one.
  void hand_over(pid_t successor);

 private:
  void beat();

  Notifier notifier_;
  const std::optional<Millis> limit_;
  Pulse pulse_;
  Timer heartbeat_;
  bool pulse_awaited_ = false;
  std::string status_;
};

}  // namespace weir
