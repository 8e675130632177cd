#include "lb/daemon.h"

#include <unistd.h>

#include <fmt/format.h>
#include <csignal>

#include "lb/base/log.h"

namespace weir {
namespace {

/// How long a start waits for names to resolve and for first probes to end: those that do not by then cost
/// the sessions of their backends only. Clients wait in the kernel's queue meanwhile.
constexpr Millis kStartPatience{3'000};
/// How long a superseded process without sessions waits until its last answers have been taken.
constexpr Millis kLastAnswers{2'000};
/// How often a shutdown looks whether the last session has ended.
constexpr Millis kShutdownStep{20};

std::uint64_t session_limit(const Config& config, std::uint32_t workers, std::uint64_t descriptor_limit) {
  return config.max_connections.value_or(sessions_that_fit(config, workers, descriptor_limit));
}

spdlog::level::level_enum level_of(LogLevel level) {
  return static_cast<spdlog::level::level_enum>(level);
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::create(std::shared_ptr<const Config> config, LoadOptions options,
                                               Origin origin) {
  block_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1});
  ignore_sigpipe();
  auto loop = Loop::create();
  if (!loop) return tl::unexpected(loop.error());
  std::unique_ptr<Daemon> daemon(
      new Daemon(std::move(config), std::move(options), std::move(origin), std::move(*loop)));
  if (auto taken = daemon->take_resources(); !taken) return tl::unexpected(taken.error());
  return daemon;
}

Daemon::Daemon(std::shared_ptr<const Config> config, LoadOptions options, Origin origin,
               std::unique_ptr<Loop> loop)
    : first_config_(std::move(config)),
      options_(std::move(options)),
      origin_(std::move(origin)),
      worker_count_(resolved_workers(*first_config_)),
      loop_(std::move(loop)),
      gate_(session_limit(*first_config_, worker_count_, options_.descriptor_limit)),
      state_file_(first_config_->state_file),
      registry_(worker_count_, [this](const std::shared_ptr<const Table>& table) { on_table(table); }),
      adoption_(worker_count_),
      names_(*loop_, registry_),
      listening_(worker_count_),
      service_(*loop_, [this](std::function<void()> done) { fleet_->when_settled(std::move(done)); }),
      predecessors_(*loop_),
      reload_(
          registry_, *this, state_file_,
          [this, path = first_config_->file, options = options_] {
            service_.reloading();
            // Once it is done, or has been refused.
            loop_->post([this] { service_.ready(""); });
            return load_config(path, options);
          },
          [options = options_](std::string_view text, const std::string& file) {
            return parse_config(text, file, options);
          }),
      start_timer_(*loop_, [this] { open_listeners(); }),
      slow_start_timer_(*loop_,
                        [this] {
                          registry_.tick();
                          // A timer may be a little early, and then no Table came of it.
                          if (const auto step = registry_.next_step()) slow_start_timer_.start(*step);
                        }),
      shutdown_timer_(*loop_, [this] { shutdown_step(); }) {}

Daemon::~Daemon() {
  // The loop's own end would wait for the answer.
  if (resolving()) static_cast<void>(loop_.release());
}

/// The order is that of the harm an error would leave: nothing is written before everything is bound.
Result<void> Daemon::take_resources() {
  listening_.inherit(std::move(origin_.sockets));
  if (auto bound = listening_.prepare(*first_config_); !bound) return bound;
  auto admin = take_admin_socket(origin_.inheritance, first_config_->admin);
  if (!admin) return tl::unexpected(admin.error());
  admin_socket_ = std::move(*admin);
  if (auto state = open_state_file(); !state) return state;
  auto target = AccessLog::open(first_config_->log.access);
  if (!target) return tl::unexpected(target.error());
  access_log_ = std::make_unique<AccessLog>(std::move(*target), worker_count_, [this](std::string complaint) {
    loop_->post([complaint = std::move(complaint)] { daemon_log().warn("{}", complaint); });
  });
  auto checker = Checker::create(
      reserved_probe_sockets(*first_config_, options_.descriptor_limit), [this](HealthReport report) {
        loop_->post([this, report = std::move(report)]() mutable { on_health(std::move(report)); });
      });
  if (!checker) return tl::unexpected(checker.error());
  checker_ = std::move(*checker);
  auto fleet = Fleet::create(*loop_, shared_with_workers());
  if (!fleet) return tl::unexpected(fleet.error());
  fleet_ = std::move(*fleet);
  return {};
}

Result<void> Daemon::open_state_file() {
  if (origin_.inheritance && !origin_.inheritance->overrides.empty()) {
    if (auto overrides = parse_state(origin_.inheritance->overrides))
      registry_.restore(std::move(*overrides));
    return {};
  }
  if (state_file_.off()) return {};
  if (auto writable = state_file_.check_writable(!first_config_->state_file_given); !writable) {
    if (first_config_->state_file_given) return fail("state_file: " + writable.error().message);
    // It stays as it is: each override then finds out, and says so to the operator.
    daemon_log().warn("operator overrides will not survive a restart: {}", writable.error().message);
    return {};
  }
  auto loaded = state_file_.load();
  if (!loaded) return tl::unexpected(loaded.error());
  if (!loaded->warning.empty()) daemon_log().warn("{}", loaded->warning);
  registry_.restore(std::move(loaded->overrides));
  return {};
}

WorkerShared Daemon::shared_with_workers() {
  return {.gate = gate_,
          .access_log = *access_log_,
          .workers = worker_count_,
          .on_connects_changed =
              [this](const std::shared_ptr<BackendLoad>& load) { checker_->connects_changed(load); },
          .on_trouble =
              [this](std::uint32_t worker, Trouble trouble) {
                loop_->post([worker, trouble] {
                  daemon_log().warn("worker {}: {} (this host's trouble, not a backend's)", worker + 1,
                                    fail_errno(trouble.doing, trouble.error).value().message);
                });
              },
          .wake_all = nullptr};
}

void Daemon::on_table(const std::shared_ptr<const Table>& table) {
  fleet_->adopt(table, [this, generation = table->generation](std::uint32_t worker) {
    adoption_.adopted(worker, generation);
  });
  if (const auto step = registry_.next_step()) slow_start_timer_.start(*step);
  // Once for all the changes of this turn.
  if (std::exchange(targets_stale_, true)) return;
  loop_->post([this] {
    targets_stale_ = false;
    names_.update();
    hand_targets_to_checker();
  });
}

void Daemon::hand_targets_to_checker() {
  std::vector<ProbeTarget> targets;
  for (const auto& pool : registry_.table()->pools) {
    const ProbeConfig* const probe = registry_.probe(pool->settings().name);
    if (probe == nullptr) continue;
    // A process without new sessions only has to know when to close what is left.
    if (upgrade_->superseded() && !pool->settings().close_sessions_when_down) continue;
    for (const Backend& backend : pool->backends())
      targets.push_back({.id = backend.id(),
                         .pool = pool->settings().name,
                         .name = backend.name,
                         .addresses = backend.addresses,
                         .probe = *probe,
                         .probing = backend.admin != Admin::Disabled,
                         .life = backend.life,
                         .load = backend.load});
  }
  const bool starts_children =
      std::ranges::any_of(targets, [](const ProbeTarget& target) { return target.probe.kind == "exec"; });
  if (!starts_children || children_expected_) return checker_->set_targets(std::move(targets));
  fleet_->expect_children(true);
  fleet_->when_settled([this] {
    children_expected_ = true;
    hand_targets_to_checker();
  });
}

void Daemon::on_health(HealthReport report) {
  reports_.push_back(std::move(report));
  // Once for all that have come in: when a whole fleet goes down, each of its Tables would be a long one.
  if (reports_.size() == 1) loop_->post([this] { take_reports(); });
}

void Daemon::take_reports() {
  const auto reports = std::exchange(reports_, {});
  const auto went_down = registry_.set_health(reports);
  for (const HealthReport& report : reports)
    if (awaited_.erase(report.id) > 0) open_if_ready();
  for (const BackendId id : went_down) close_sessions_of(id);
}

void Daemon::close_sessions_of(BackendId id) {
  for (const auto& pool : registry_.table()->pools) {
    const Backend* const backend = pool->find(id);
    if (!pool->settings().close_sessions_when_down || backend == nullptr) continue;
    SessionFilter filter;
    filter.backend_ids = {id};
    fleet_->kill_sessions(filter, UINT64_MAX, [load = backend->load](std::uint64_t killed) {
      if (killed > 0)
        daemon_log().info("{}/{} is down: {} of its sessions were closed", load->pool, load->name, killed);
    });
  }
}

void Daemon::await_first_verdicts() {
  for (const auto& pool : registry_.table()->pools) {
    const ProbeConfig* const probe = registry_.probe(pool->settings().name);
    if (probe == nullptr || probe->kind == "none") continue;
    for (const Backend& backend : pool->backends())
      if (backend.admin != Admin::Disabled && !backend.addresses.empty() && backend.health == Health::Unknown)
        awaited_.insert(backend.id());
  }
}

void Daemon::open_if_ready() {
  if (names_answered_ && awaited_.empty()) open_listeners();
}

void Daemon::open_listeners() {
  if (open_ || shutting_down_) return;
  open_ = true;
  start_timer_.stop();
  listening_.commit(*registry_.config(), registry_, *fleet_);
  if (!origin_.inheritance) open_admin_api();
  for (const ListenerConfig& listener : registry_.config()->listeners)
    for (const Address& address : listener.bind)
      daemon_log().info("listener {} on {} for pool {}", listener.name, address.to_string(), listener.pool);
  fleet_->when_settled([this] { on_settled(); });
}

void Daemon::on_settled() {
  const Config& config = *registry_.config();
  const std::string ready =
      fmt::format("ready: {} listeners, {} pools, {} workers, at most {} sessions", config.listeners.size(),
                  config.pools.size(), worker_count_, gate_.max());
  std::vector<std::string> unused;
  for (const InheritedSocket& socket : listening_.take_unused()) {
    daemon_log().warn("inherited socket {} is no listener of {}: closed", socket.address.to_string(),
                      config.file);
    unused.push_back(socket.address.to_string());
  }
  service_.ready(ready);
  if (takeover_ != nullptr) takeover_->serving(unused);
  daemon_log().info("weir " WEIR_VERSION " {}", ready);
}

void Daemon::on_free(const std::optional<Predecessor>& predecessor) {
  if (predecessor) predecessors_.add(*predecessor);
  listening_.own_paths();
  if (const std::string& path = origin_.inheritance->admin_path;
      !path.empty() && path != registry_.config()->admin.socket)
    ::unlink(path.c_str());
  open_admin_api();
}

int Daemon::run() {
  watch_signals();
  make_admin_api();
  make_upgrade();
  fleet_->start();
  checker_->start();
  const ApplyReport report = registry_.apply(first_config_);
  for (const std::string& note : report.notes) daemon_log().warn("{}", note);
  if (!report.notes.empty() && !state_file_.off()) {
    if (auto saved = state_file_.save(registry_.overrides()); !saved)
      daemon_log().warn("operator overrides will not survive a restart: {}", saved.error().message);
  }
  start_timer_.start(kStartPatience);
  names_.update();
  names_.when_answered([this] {
    names_answered_ = true;
    await_first_verdicts();
    open_if_ready();
  });
  loop_->run();
  // The workers first: they report to everybody else. What they had in hand ends as `shutdown`.
  takeover_.reset();
  upgrade_.reset();
  admin_api_.reset();
  fleet_.reset();
  checker_.reset();
  access_log_.reset();
  return exit_status_;
}

Result<void> Daemon::prepare(const Config& next) {
  if (auto bound = listening_.prepare(next); !bound) return bound;
  next_log_target_.reset();
  if (next.log.access == registry_.config()->log.access) return {};
  auto target = AccessLog::open(next.log.access);
  if (!target) return tl::unexpected(target.error());
  next_log_target_ = std::move(*target);
  return {};
}

void Daemon::commit(const Config& next) {
  gate_.set_max(session_limit(next, worker_count_, options_.descriptor_limit));
  checker_->set_most_sockets(reserved_probe_sockets(next, options_.descriptor_limit));
  if (next_log_target_) access_log_->redirect(std::move(*std::exchange(next_log_target_, std::nullopt)));
  daemon_log().set_level(level_of(next.log.level));
  if (open_) listening_.commit(next, registry_, *fleet_);
}

void Daemon::reload() {
  if (const std::string refusal = upgrade_->reload_refusal(); !refusal.empty())
    return daemon_log().error("reload refused: {}", refusal);
  reload_.run();
}

void Daemon::on_superseded(const UpgradeOrder& order) {
  hand_targets_to_checker();
  const auto now = loop_->refresh_now();
  answers_deadline_ = now + kLastAnswers;
  if (shutting_down_) return;
  shutdown_deadline_ = order.max_age ? now + *order.max_age : std::chrono::nanoseconds::max();
  shutdown_step();
}

void Daemon::begin_shutdown(const char* why) {
  if (shutting_down_) {
    daemon_log().warn("{} again: ending now, {} sessions are cut", why, gate_.active());
    if (gate_.active() > 0) exit_status_ = 1;
    return loop_->stop();
  }
  shutting_down_ = true;
  upgrade_->abandon();
  if (!upgrade_->superseded()) service_.stopping();
  const Millis grace = registry_.config()->shutdown_grace;
  daemon_log().info("{}: no new sessions; {} have {} to finish", why, gate_.active(), format_duration(grace));
  shutdown_deadline_ = loop_->refresh_now() + grace;
  fleet_->close_listeners([this] { shutdown_step(); });
}

void Daemon::shutdown_step() {
  const auto now = loop_->refresh_now();
  if (gate_.active() > 0) answers_deadline_ = now + kLastAnswers;
  const bool answering = upgrade_->superseded() && !admin_api_->idle() && now < answers_deadline_;
  if (gate_.active() == 0 && !answering) {
    daemon_log().info("every session has ended: bye");
    return loop_->stop();
  }
  if (now >= shutdown_deadline_) {
    daemon_log().warn("{} is over: {} sessions are cut",
                      shutting_down_ ? "shutdown_grace" : "the upgrade's max-age", gate_.active());
    return loop_->stop();
  }
  shutdown_timer_.start(kShutdownStep);
}

}  // namespace weir
