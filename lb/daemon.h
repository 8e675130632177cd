#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "health/checker.h"
#include "lb/config/config.h"
#include "lb/config/load.h"
#include "lb/control/admin_api.h"
#include "lb/control/adoption.h"
#include "lb/control/name_resolution.h"
#include "lb/control/registry.h"
#include "lb/control/reload.h"
#include "lb/control/state_file.h"
#include "lb/fleet.h"
#include "lb/listening.h"
#include "lb/net/loop.h"
#include "lb/net/signals.h"
#include "lb/net/timer.h"
#include "lb/proxy/access_log.h"
#include "lb/proxy/gate.h"
#include "lb/service_manager.h"
#include "lb/upgrade.h"

namespace weir {

/// What this process was started by and with.
struct Origin {
  std::string program;                     ///< what an upgrade starts
  std::vector<InheritedSocket> sockets;    ///< from the service manager or an older process
  std::optional<Inheritance> inheritance;  ///< what else an older process has handed over
};

/// `weir run`: what the process is made of, and who hears of what. Lives on the main thread, whose loop is
/// the control loop.
class Daemon final : private ReloadSteps {
 public:
  /// Binds, opens logs, makes threads. Nothing is accepted before run(). An error has left nothing behind.
  static Result<std::unique_ptr<Daemon>> create(std::shared_ptr<const Config> config, LoadOptions options,
                                                Origin origin);
  ~Daemon() override;

  /// Serves until a signal ends it. The exit status.
  int run();
  /// A name is still being resolved, which nothing can cancel: a process that then exits by its usual way
  /// waits for the answer, for half a minute perhaps, when libuv joins its threads.
  bool resolving() const { return names_.asking(); }

 private:
  Daemon(std::shared_ptr<const Config> config, LoadOptions options, Origin origin,
         std::unique_ptr<Loop> loop);

  Result<void> take_resources();
  Result<void> open_state_file();
  WorkerShared shared_with_workers();
  void make_admin_api();
  void make_upgrade();
  void open_admin_api();
  void watch_signals();

  // Who hears of what.
  void on_table(const std::shared_ptr<const Table>& table);
  void on_health(HealthReport report);
  void take_reports();
  /// If its pool wants that.
  void close_sessions_of(BackendId id);
  void hand_targets_to_checker();
  void step_slow_start();

  // Start: nothing is accepted until it is known, or has been waited for, where sessions can go.
  void await_first_verdicts();
  void open_if_ready();
  void open_listeners();
  void on_settled();
  void on_free(const std::optional<Predecessor>& predecessor);

  Result<void> prepare(const Config& next) override;
  void commit(const Config& next) override;

  void reload();
  void on_superseded(const UpgradeOrder& order);
  void begin_shutdown(const char* why);
  void shutdown_step();

  std::shared_ptr<const Config> first_config_;
  const LoadOptions options_;
  Origin origin_;
  const std::uint32_t worker_count_;
  std::unique_ptr<Loop> loop_;
  Gate gate_;
  StateFile state_file_;
  Registry registry_;
  Adoption adoption_;
  NameResolution names_;
  Listening listening_;
  Fd admin_socket_;  // until the admin API has it
  std::unique_ptr<AccessLog> access_log_;
  std::optional<AccessLog::Target> next_log_target_;  // between prepare() and commit()
  std::unique_ptr<Checker> checker_;
  std::unique_ptr<Fleet> fleet_;
  ServiceManager service_;
  Predecessors predecessors_;
  Reload reload_;
  std::unique_ptr<AdminApi> admin_api_;
  std::unique_ptr<Upgrade> upgrade_;
  std::unique_ptr<Takeover> takeover_;  // of a process that an upgrade has started
  std::vector<std::unique_ptr<SignalWatch>> signals_;
  Timer start_timer_;
  Timer slow_start_timer_;
  Timer shutdown_timer_;
  std::chrono::nanoseconds shutdown_deadline_{0};
  std::chrono::nanoseconds answers_deadline_{0};  ///< of a superseded process whose last session has ended
  std::set<BackendId> awaited_;                   ///< backends whose first probe has not ended
  bool children_expected_ = false;                ///< every worker knows of the exec probes
  std::vector<HealthReport> reports_;             ///< of this turn
  bool names_answered_ = false;
  bool targets_stale_ = false;
  bool open_ = false;
  bool shutting_down_ = false;
  int exit_status_ = 0;
};

}  // namespace weir
