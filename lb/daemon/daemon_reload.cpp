// What a reload changes of the daemon itself: prepared as a whole, then committed without fail.
#include <fmt/format.h>

#include "lb/base/daemon_log.h"
#include "lb/base/log.h"
#include "lb/daemon/daemon.h"

namespace weir {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  return static_cast<spdlog::level::level_enum>(level);
}

}  // namespace

struct Daemon::Prepared final : PreparedReload {
  Prepared(Daemon& to, std::shared_ptr<const Config> config, Listening::Change planned)
      : daemon(to), next(std::move(config)), sockets(std::move(planned)) {}

  void commit() && override {
    daemon.last_reload_success_ = std::chrono::system_clock::now();
    daemon.limits_.set(next);
    daemon.fleet_->set_busy_poll(next->busy_poll);
    if (log_target) daemon.access_log_->redirect(std::move(*log_target));
    daemon.access_log_->set_style({next->log.format, next->log.sample});
    if (next_daemon_log) std::move(*next_daemon_log).take();
    daemon_log().set_level(level_of(next->log.level));
    std::move(sockets).commit(daemon.registry_, *daemon.fleet_);
    daemon.names_.ask_again();
    daemon.admin_api_->bring_back(next->admin);
    daemon.web_->change(std::move(web), next->web);
    daemon.history_.keep(!next->web.bind.empty());
  }

  Daemon& daemon;
  std::shared_ptr<const Config> next;
  Listening::Change sockets;
  std::vector<Web::Socket> web;
  std::optional<AccessLog::Target> log_target;
  std::optional<NextDaemonLog> next_daemon_log;
};

Result<std::unique_ptr<PreparedReload>> Daemon::prepare(std::shared_ptr<const Config> next) {
  // The addresses of listeners that are being closed would be wanted again.
  if (shutting_down_) return fail("this process has been told to end");
  auto sockets = listening_.plan(*next);
  if (!sockets) return tl::unexpected(sockets.error());
  auto web = web_->plan(next->web);
  if (!web) return tl::unexpected(web.error());
  auto prepared = std::make_unique<Prepared>(*this, next, std::move(*sockets));
  prepared->web = std::move(*web);
  const LogConfig& now = registry_.config()->log;
  const DaemonLogStyle style{next->log.format, next->log.daemon};
  if (style != DaemonLogStyle{now.format, now.daemon}) {
    auto log = NextDaemonLog::open(style);
    if (!log) return fail(fmt::format("cannot open the daemon's log: {}", log.error().message));
    prepared->next_daemon_log = std::move(*log);
  }
  if (next->log.access != now.access) {
    auto target = AccessLog::open(next->log.access);
    if (!target) return tl::unexpected(target.error());
    prepared->log_target = std::move(*target);
  }
  return prepared;
}

void Daemon::reload() {
  if (upgrade_->passes_reload_on()) return;
  reload_.run("SIGHUP", [this](const ReloadReport& report) {
    if (report.busy) upgrade_->passes_reload_on();
  });
}

}  // namespace weir
