#include "lb/daemon.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>
#include <csignal>

#include "lb/base/log.h"
#include "lb/net/socket.h"

namespace weir {
namespace {

/// Unresolved names do not keep Weir from starting, but are given this long first.
constexpr Millis kNamesAtStart{3'000};
/// How often a shutdown looks whether the last session has ended.
constexpr Millis kShutdownStep{20};
/// Of a listener on a unix path: whoever may enter its directory may connect, as with a TCP port.
constexpr std::uint32_t kUnixListenerMode = 0666;

}  // namespace

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

std::uint64_t session_limit(const Config& config, std::uint32_t workers, std::uint64_t descriptor_limit) {
  return config.max_connections.value_or(sessions_that_fit(config, workers, descriptor_limit));
}

Result<std::unique_ptr<Daemon>> Daemon::create(std::shared_ptr<const Config> config, LoadOptions options) {
  auto loop = Loop::create();
  if (!loop) return tl::unexpected(loop.error());
  ignore_sigpipe();
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), std::move(options), std::move(*loop)));
  if (auto bound = daemon->bind_all(); !bound) return tl::unexpected(bound.error());
  Loop& control = *daemon->loop_;
  auto log =
      AccessLog::open(daemon->config_->log.access, daemon->worker_count_, [&control](std::string complaint) {
        control.post([complaint = std::move(complaint)] { daemon_log().warn("{}", complaint); });
      });
  if (!log) return tl::unexpected(log.error());
  daemon->access_log_ = std::move(*log);
  if (auto made = daemon->make_workers(); !made) return tl::unexpected(made.error());
  return daemon;
}

Daemon::Daemon(std::shared_ptr<const Config> config, LoadOptions options, std::unique_ptr<Loop> loop)
    : config_(std::move(config)),
      options_(std::move(options)),
      worker_count_(resolved_workers(*config_)),
      loop_(std::move(loop)),
      gate_(session_limit(*config_, worker_count_, options_.descriptor_limit)),
      registry_(worker_count_, [this](std::shared_ptr<const Table> table) { publish(std::move(table)); }),
      resolution_(*loop_, registry_),
      shutdown_timer_(*loop_, [this] { shutdown_step(); }) {}

Daemon::~Daemon() {
  for (auto& worker : workers_) worker->halt();
  workers_.clear();
  access_log_.reset();
  for (const std::string& path : unix_paths_) ::unlink(path.c_str());
}

Result<void> Daemon::bind_all() {
  for (const ListenerConfig& listener : config_->listeners) {
    for (const Address& address : listener.bind) {
      BoundAddress bound{listener.name, listener.pool, address, {}};
      const std::uint32_t sockets = address.is_unix() ? 1 : worker_count_;
      for (std::uint32_t i = 0; i < sockets; ++i) {
        auto fd = address.is_unix() ? listen_unix(address, kUnixListenerMode) : listen_tcp(address, i == 0);
        if (!fd) return fail(fmt::format("listener {}: {}", listener.name, fd.error().message));
        bound.sockets.push_back(std::move(*fd));
      }
      if (address.is_unix()) unix_paths_.emplace_back(address.path());
      bound_.push_back(std::move(bound));
    }
  }
  return {};
}

Result<void> Daemon::make_workers() {
  shared_ = std::make_unique<WorkerShared>(WorkerShared{
      .gate = gate_,
      .access_log = *access_log_,
      .workers = worker_count_,
      .on_connects_changed = [](const std::shared_ptr<BackendLoad>& load) { load->report_pending = false; },
      .on_trouble =
          [this](std::uint32_t worker, Trouble trouble) {
            loop_->post([worker, trouble] {
              daemon_log().warn("worker {}: {}, a trouble of this host's, not of a backend's", worker + 1,
                                fail_errno(trouble.doing, trouble.error).value().message);
            });
          },
      .wake_all =
          [this] {
            for (auto& worker : workers_) worker->resume_listeners();
          }});
  for (std::uint32_t i = 0; i < worker_count_; ++i) {
    auto worker = Worker::create(i, *shared_);
    if (!worker) return tl::unexpected(worker.error());
    workers_.push_back(std::move(*worker));
  }
  return {};
}

void Daemon::publish(std::shared_ptr<const Table> table) {
  for (auto& worker : workers_) worker->adopt(table, nullptr);
  loop_->post([this] { resolution_.update(); });
}

void Daemon::open_listeners() {
  for (const ListenerConfig& listener : config_->listeners)
    registry_.listener_load(listener.name, listener.pool).max_connections = listener.max_connections;
  for (BoundAddress& bound : bound_) {
    ListenerLoad& load = registry_.listener_load(bound.listener, bound.pool);
    const bool shared = bound.sockets.size() < workers_.size();
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      Fd fd = shared && i + 1 < workers_.size() ? Fd(::dup(bound.sockets[0].get()))
                                                : std::move(bound.sockets[shared ? 0 : i]);
      workers_[i]->add_listener(load, std::move(fd), shared && workers_.size() > 1,
                                [](const Result<void>& opened) {
                                  if (!opened) daemon_log().error("{}", opened.error().message);
                                });
    }
  }
  bound_.clear();
  // Posted behind the listeners: true when it is said.
  auto open = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  for (auto& worker : workers_) {
    worker->post([this, open] {
      if (open->fetch_sub(1) == 1)
        loop_->post([this] {
          daemon_log().info("weir " WEIR_VERSION
                            " ready: {} listeners, {} pools, {} workers, at most {} sessions",
                            config_->listeners.size(), config_->pools.size(), worker_count_, gate_.max());
        });
    });
  }
}

void Daemon::watch_signals() {
  const auto on = [this](int signal, std::function<void()> action) {
    signals_.push_back(std::make_unique<SignalWatch>(*loop_, signal, std::move(action)));
  };
  on(SIGTERM, [this] { begin_shutdown("SIGTERM"); });
  on(SIGINT, [this] { begin_shutdown("SIGINT"); });
  on(SIGUSR1, [this] {
    access_log_->reopen();
    daemon_log().info("SIGUSR1: logs reopened");
  });
}

int Daemon::run() {
  watch_signals();
  for (auto& worker : workers_) worker->start();
  const ApplyReport report = registry_.apply(config_);
  for (const std::string& note : report.notes) daemon_log().warn("{}", note);
  resolution_.update();
  Timer patience(*loop_, [this] {
    if (!bound_.empty()) open_listeners();
  });
  patience.start(kNamesAtStart);
  resolution_.when_answered([this, &patience] {
    patience.stop();
    if (!bound_.empty() && !shutting_down_) open_listeners();
  });
  loop_->run();
  return exit_status_;
}

void Daemon::begin_shutdown(const char* why) {
  if (shutting_down_) {
    daemon_log().warn("{} again: ending now, {} sessions are cut", why, active_sessions());
    if (active_sessions() > 0) exit_status_ = 1;
    return end_now();
  }
  shutting_down_ = true;
  daemon_log().info("{}: no new sessions; {} have {} to finish", why, active_sessions(),
                    format_duration(config_->shutdown_grace));
  shutdown_deadline_ = loop_->refresh_now() + config_->shutdown_grace;
  auto closing = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  for (auto& worker : workers_)
    worker->close_listeners([](const ListenerLoad&) { return true; },
                            [this, closing] {
                              if (closing->fetch_sub(1) == 1) loop_->post([this] { shutdown_step(); });
                            });
}

void Daemon::shutdown_step() {
  if (active_sessions() == 0) {
    daemon_log().info("every session has ended: bye");
    return loop_->stop();
  }
  if (loop_->refresh_now() >= shutdown_deadline_) {
    daemon_log().warn("shutdown_grace is over: ending {} sessions", active_sessions());
    return end_now();
  }
  shutdown_timer_.start(kShutdownStep);
}

void Daemon::end_now() {
  loop_->stop();
}

}  // namespace weir
