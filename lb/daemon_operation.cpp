// What operators and signals reach, and how.
#include <csignal>

#include "lb/base/log.h"
#include "lb/daemon.h"

namespace weir {

void Daemon::make_admin_api() {
  admin_api_ = std::make_unique<AdminApi>(
      AdminParts{.loop = *loop_,
                 .registry = registry_,
                 .workers = *fleet_,
                 .adoption = adoption_,
                 .state_file = state_file_,
                 .reload = reload_,
                 .facts =
                     [this] {
                       ProcessFacts facts;
                       facts.version = WEIR_VERSION;
                       facts.workers = worker_count_;
                       facts.max_sessions = gate_.max();
                       return facts;
                     },
                 .predecessors = &predecessors_,
                 .refusal = [this](const HttpRequest& request) { return upgrade_->refusal(request); },
                 .upgrade = [this](UpgradeOrder order,
                                   UpgradeDone done) { upgrade_->begin(std::move(order), std::move(done)); },
                 .reopen_logs =
                     [this] {
                       access_log_->reopen();
                       daemon_log().info("logs reopened");
                     }});
}

void Daemon::make_upgrade() {
  upgrade_ = std::make_unique<Upgrade>(
      UpgradeParts{.loop = *loop_,
                   .fleet = *fleet_,
                   .listening = listening_,
                   .registry = registry_,
                   .state_file = state_file_,
                   .predecessors = predecessors_,
                   .service = service_,
                   .admin = *admin_api_,
                   .program = origin_.program,
                   .ending = [this] { return shutting_down_; },
                   .sessions = [this] { return gate_.active(); },
                   .on_superseded = [this](const UpgradeOrder& order) { on_superseded(order); }});
  if (!origin_.inheritance) return;
  for (Predecessor& predecessor : origin_.inheritance->predecessors)
    predecessors_.add(std::move(predecessor));
  takeover_ = std::make_unique<Takeover>(
      *loop_, std::move(origin_.inheritance->channel),
      [this](const std::optional<Predecessor>& predecessor) { on_free(predecessor); });
}

void Daemon::open_admin_api() {
  if (!admin_socket_) return;
  if (auto served = admin_api_->serve(std::move(admin_socket_), registry_.config()->admin.socket); !served)
    daemon_log().error("no admin API: {}", served.error().message);
}

void Daemon::watch_signals() {
  const auto on = [this](int signal, std::function<void()> action) {
    signals_.push_back(std::make_unique<SignalWatch>(*loop_, signal, std::move(action)));
  };
  on(SIGTERM, [this] { begin_shutdown("SIGTERM"); });
  on(SIGINT, [this] { begin_shutdown("SIGINT"); });
  on(SIGHUP, [this] { reload(); });
  // The admin API passes it on to the older processes that have sessions left.
  on(SIGUSR1, [this] {
    HttpRequest request;
    request.method = "POST";
    request.path = {"v1", "logs", "reopen"};
    request.caller = "SIGUSR1";
    admin_api_->handle(std::move(request), [](const HttpResponse&) {});
  });
}

}  // namespace weir
