// What operators and signals reach, and how.
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "lb/base/build.h"
#include "lb/base/log.h"
#include "lb/control/door_rules.h"
#include "lb/daemon/daemon.h"

namespace weir {

void Daemon::make_admin_api() {
  rebalancing_ = std::make_unique<Rebalancing>(*loop_, *fleet_);
  predecessors_.judge_by([this] { return format_door_rules(doors_.in_force()); });
  admin_api_ = std::make_unique<AdminApi>(
      AdminParts{.loop = *loop_,
                 .registry = registry_,
                 .workers = *fleet_,
                 .adoption = adoption_,
                 .state = state_,
                 .rebalancing = *rebalancing_,
                 .reload = reload_,
                 .events = events_,
                 .facts =
                     [this] {
                       ProcessFacts facts;
                       facts.version = kBuild.version;
                       facts.workers = worker_count_;
                       facts.pid = ::getpid();
                       facts.max_sessions = limits_.admission().max();
                       facts.superseded = upgrade_->superseded();
                       facts.stopping = shutting_down_ || facts.superseded;
                       facts.unsaved = state_.problem();
                       facts.problems = shortages_.in_force();
                       for (const std::string& listener : listening_.shut())
                         facts.problems.push_back(fmt::format(
                             "listener {} is closed: no pool of it has an eligible backend", listener));
                       facts.last_reload = events_.last(Event::Kind::Reload);
                       return facts;
                     },
                 .history = [this] { return history_.kept(); },
                 .doorway = [this](const std::string& listener) { return doors_.find(listener); },
                 .is_shut =
                     [this](const std::string& listener) {
                       const auto shut = listening_.shut();
                       return std::ranges::find(shut, listener) != shut.end();
                     },
                 .predecessors = &predecessors_,
                 .may_wait = [this] { return registry_.any_limited() && has_unsettled(); },
                 .refusal = [this](const HttpRequest& request) { return upgrade_->refusal(request); },
                 .upgrade = [this](UpgradeOrder order,
                                   UpgradeDone done) { upgrade_->begin(std::move(order), std::move(done)); },
                 .reopen_logs =
                     [this](std::function<void()> done) {
                       access_log_->reopen([this, done = std::move(done)] {
                         loop_->post([done] {
                           daemon_log().info("logs reopened");
                           done();
                         });
                       });
                     },
                 .stop =
                     [this](std::optional<Millis> grace) {
                       stop("weir stop", grace);
                       const auto left = shutdown_deadline_ - loop_->refresh_now();
                       return StopReport{limits_.admission().active(),
                                         std::max(Millis(0), std::chrono::ceil<Millis>(left))};
                     },
                 .places = admin_connection_limit(options_.descriptor_limit)});
}

MetricsFacts Daemon::metrics_facts() {
  MetricsFacts out;
  out.version = kBuild.version;
  out.sessions = limits_.admission().active();
  out.most_sessions = limits_.admission().max();
  out.last_reload_success = last_reload_success_;
  // One that is older than this process was another one's.
  const auto& last = events_.last(Event::Kind::Reload);
  out.last_reload_good = !last || last->time < started_ || last->text.starts_with("reloaded");
  out.own_trouble = own_trouble_;
  return out;
}

void Daemon::make_web() {
  metrics_ = std::make_unique<Metrics>(*loop_, registry_, predecessors_, [this] { return metrics_facts(); });
  web_ = std::make_unique<Web>(WebParts{.loop = *loop_,
                                        .api = *admin_api_,
                                        .metrics = metrics_.get(),
                                        .places = admin_connection_limit(options_.descriptor_limit)},
                               std::move(web_sockets_));
}

void Daemon::make_upgrade() {
  upgrade_ = std::make_unique<Upgrade>(
      UpgradeParts{.loop = *loop_,
                   .fleet = *fleet_,
                   .listening = listening_,
                   .registry = registry_,
                   .state = state_,
                   .predecessors = predecessors_,
                   .service = service_,
                   .admin = *admin_api_,
                   .web = *web_,
                   .program = origin_.program,
                   .first_process = origin_.first_process,
                   .reload_file = reload_,
                   .events = events_,
                   .history = [this] { return history_.kept(); },
                   .tokens = [this] { return doors_.to_bytes(loop_->now()); },
                   .reload = [this] { reload(); },
                   .ending = [this] { return shutting_down_; },
                   .sessions = [this] { return limits_.admission().active(); },
                   .clients =
                       [this](std::function<void(SessionsByClient)> done) {
                         fleet_->count_limited([this, done = std::move(done)](SessionsByClient all) {
                           for (const auto& [key, count] : held_places_.sessions()) all[key] += count;
                           done(std::move(all));
                         });
                       },
                   .on_superseded = [this](const UpgradeOrder& order) { on_superseded(order); }});
  if (!origin_.inheritance) return;
  for (Predecessor& predecessor : origin_.inheritance->predecessors)
    predecessors_.add(std::move(predecessor));
  takeover_ = std::make_unique<Takeover>(
      *loop_, std::move(origin_.inheritance->channel), std::move(origin_.inheritance->standard_error),
      [this](const std::optional<Predecessor>& predecessor) { on_free(predecessor); });
}

void Daemon::open_admin_api() {
  const AdminConfig& config = registry_.config()->admin;
  const auto serve = [this](Fd& socket, const std::string& path, AdminApi::Level level) {
    if (!socket) return;
    if (auto served = admin_api_->serve(std::move(socket), path, level); !served)
      daemon_log().error("no admin API at {}: {}", path, served.error().message);
  };
  serve(admin_socket_, config.socket, AdminApi::Level::All);
  serve(read_only_admin_socket_, config.read_only_socket, AdminApi::Level::Look);
  web_->open(registry_.config()->web);
}

void Daemon::watch_signals() {
  const auto on = [this](int signal, std::function<void()> action) {
    signals_.push_back(std::make_unique<SignalWatch>(*loop_, signal, std::move(action)));
  };
  on(SIGTERM, [this] { on_stop_signal("SIGTERM"); });
  on(SIGINT, [this] { on_stop_signal("SIGINT"); });
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
