// How a process ends: by a signal, by a command, or because another one has taken over.
#include <fmt/format.h>

#include "lb/base/counted.h"
#include "lb/base/log.h"
#include "lb/daemon/daemon.h"

namespace weir {
namespace {

/// How long a superseded process without sessions waits until its last answers have been taken.
constexpr Millis kLastAnswers{2'000};
/// How often a shutdown looks whether the last session has ended.
constexpr Millis kShutdownStep{20};

}  // namespace

void Daemon::on_superseded(const UpgradeOrder& order) {
  unsettled_ = has_unsettled();
  health_->update(watched());
  shared_backend_limits_.end();
  shared_client_limits_.end();
  const auto now = loop_->refresh_now();
  answers_deadline_ = now + kLastAnswers;
  if (shutting_down_) return;
  shutdown_deadline_ = order.max_age ? now + *order.max_age : std::chrono::nanoseconds::max();
  shutdown_step();
}

bool Daemon::has_unsettled() const {
  return fleet_->any_unsettled() || unserved_listeners() > 0;
}

HealthDesk::Watched Daemon::watched() const {
  return upgrade_->superseded() && !unsettled_ ? HealthDesk::Watched::WhoseSessionsClose
                                               : HealthDesk::Watched::All;
}

void Daemon::on_stop_signal(const char* name) {
  if (!shutting_down_) return begin_shutdown(name, registry_.config()->shutdown_grace);
  daemon_log().warn("{} again: ending now, {} cut", name, counted(limits_.admission().active(), "session"));
  if (limits_.admission().active() > 0) exit_status_ = 1;
  loop_->stop();
}

void Daemon::stop(const char* why, std::optional<Millis> grace) {
  if (!shutting_down_) return begin_shutdown(why, grace.value_or(registry_.config()->shutdown_grace));
  if (!grace) return;
  daemon_log().info("{} again: {} to finish within {}", why, counted(limits_.admission().active(), "session"),
                    format_duration(*grace));
  shutdown_deadline_ = loop_->refresh_now() + *grace;
}

void Daemon::begin_shutdown(const char* why, Millis grace) {
  shutting_down_ = true;
  orders_deadline_ = loop_->refresh_now() + kLastAnswers;
  upgrade_->abandon();
  if (!upgrade_->superseded()) service_.stopping();
  daemon_log().info("{}: no new sessions; {} to finish within {}", why,
                    counted(limits_.admission().active(), "session"), format_duration(grace));
  shutdown_deadline_ = loop_->refresh_now() + grace;
  if (open_) listening_.close_all(*fleet_);
  fleet_->wind_up();
  // Later: whoever has ordered it is to have an answer.
  loop_->post([this] { shutdown_step(); });
}

std::size_t Daemon::unserved_listeners() const {
  // Before it serves, whoever waits for a process that follows another is still the other's.
  if (!open_) return !origin_.inheritance && listening_.anybody_waits() ? 1 : 0;
  return listening_.closing();
}

void Daemon::shutdown_step() {
  const auto now = loop_->refresh_now();
  if (upgrade_->superseded() && has_unsettled() != unsettled_) {
    unsettled_ = !unsettled_;
    health_->update(watched());
  }
  if (limits_.admission().active() > 0) answers_deadline_ = now + kLastAnswers;
  const bool answering = (!admin_api_->idle() || !web_->has_left()) && now < answers_deadline_;
  // Whoever has ordered the end, and older processes that are to hear of it, come first.
  const bool ordering = shutting_down_ && !admin_api_->idle() && now < orders_deadline_;
  const std::size_t unserved = unserved_listeners();
  if (limits_.admission().active() == 0 && unserved == 0 && !answering && !ordering) {
    daemon_log().info("every session has ended: bye");
    return leave();
  }
  if (now >= shutdown_deadline_ && !ordering) {
    daemon_log().warn("{} is over: {} cut", shutting_down_ ? "shutdown_grace" : "the upgrade's max-age",
                      counted(limits_.admission().active(), "session"));
    if (unserved > 0)
      daemon_log().warn("{} could not serve everybody in the queue: those are reset",
                        counted(unserved, "listener"));
    return leave();
  }
  shutdown_timer_.start(kShutdownStep);
}

void Daemon::leave() {
  const std::string& newest = registry_.config()->admin.socket;
  const Counts counts = registry_.counts();
  if (!upgrade_->superseded() || newest.empty() || counts.empty()) return loop_->stop();
  last_word_ = std::make_unique<AdminRequest>(*loop_, [this](const AdminRequest::Outcome& outcome) {
    if (!outcome || outcome->status != 200)
      daemon_log().warn("what this process has counted since it was superseded is lost");
    loop_->stop();
  });
  last_word_->send(newest, "POST", "/v1/counts", format_counts(counts));
}

}  // namespace weir
