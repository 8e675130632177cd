#include "lb/daemon/service_manager.h"

#include <fmt/format.h>

#include <cstdlib>

namespace weir {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

ServiceManager::ServiceManager(Loop& loop, Pulse pulse)
    : notifier_(variable("NOTIFY_SOCKET")),
      limit_(watchdog_limit(std::getenv("WATCHDOG_USEC"), std::getenv("WATCHDOG_PID"))),
      pulse_(std::move(pulse)),
      heartbeat_(loop, [this] { beat(); }) {}

void ServiceManager::ready(const std::string& status) {
  if (!status.empty()) status_ = status;
  notifier_.say(fmt::format("READY=1\nSTATUS={}\n", status_));
  if (limit_ && notifier_.listening() && !heartbeat_.active()) beat();
}

void ServiceManager::reloading() {
  notifier_.say(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading\n", monotonic_usec()));
}

void ServiceManager::stopping() {
  notifier_.say("STOPPING=1\nSTATUS=finishing sessions\n");
}

void ServiceManager::hand_over(pid_t successor) {
  notifier_.say(fmt::format("MAINPID={}\n", successor));
  notifier_ = Notifier("");
  heartbeat_.stop();
}

/// Only an answer is passed on, and only when it comes: the control loop turns, and every worker's does.
void ServiceManager::beat() {
  heartbeat_.start(*limit_ / 2);
  if (std::exchange(pulse_awaited_, true)) return;
  pulse_([this] {
    pulse_awaited_ = false;
    notifier_.ping("WATCHDOG=1\n");
  });
}

}  // namespace weir
