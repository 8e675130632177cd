#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lb/config/config.h"
#include "lb/config/load.h"
#include "lb/control/admin_api.h"
#include "lb/control/admin_request.h"
#include "lb/control/adoption.h"
#include "lb/control/elder_search.h"
#include "lb/control/history_keeper.h"
#include "lb/control/metrics.h"
#include "lb/control/name_resolution.h"
#include "lb/control/rebalancing.h"
#include "lb/control/registry.h"
#include "lb/control/reload.h"
#include "lb/control/shared_limits.h"
#include "lb/control/state_keeper.h"
#include "lb/control/web.h"
#include "lb/daemon/fleet.h"
#include "lb/daemon/health_desk.h"
#include "lb/daemon/held_places.h"
#include "lb/daemon/limits.h"
#include "lb/daemon/listening.h"
#include "lb/daemon/service_manager.h"
#include "lb/daemon/shortages.h"
#include "lb/daemon/takeover.h"
#include "lb/daemon/upgrade.h"
#include "lb/net/loop.h"
#include "lb/net/signals.h"
#include "lb/net/timer.h"
#include "lb/proxy/access_log.h"
#include "lb/proxy/loop_guard.h"

namespace weir {

/// What this process was started by and with.
struct Origin {
  std::string program;                     ///< what an upgrade starts
  std::vector<InheritedSocket> sockets;    ///< from the service manager or an older process
  std::optional<Inheritance> inheritance;  ///< what else an older process has handed over
  Fd first_process;                        ///< first_process.h; may be none
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

 private:
  Daemon(std::shared_ptr<const Config> config, LoadOptions options, Origin origin,
         std::unique_ptr<Loop> loop);

  Result<void> take_resources();
  Result<void> open_state_file();
  Result<void> read_state_file(Overrides& overrides);
  WorkerShared shared_with_workers();
  void make_admin_api();
  void make_web();
  MetricsFacts metrics_facts();
  void make_upgrade();
  void open_admin_api();
  void watch_signals();

  // Who hears of what.
  void on_table(const std::shared_ptr<const Table>& table);
  void on_loop(BackendId id);
  void on_trouble(std::uint32_t worker, const Trouble& trouble);

  // Start: nothing is accepted until it is known, or has been waited for, where sessions can go.
  bool first_verdicts_are_in() const;
  void open_if_ready();
  void open_listeners();
  void say_what_is_in_force() const;
  void on_settled();
  void on_free(const std::optional<Predecessor>& predecessor);

  /// Of a start that is no upgrade: it may follow one whose new process has been killed.
  void find_elders();
  void on_elders_found(std::vector<Predecessor> found);

  // daemon_reload.cpp
  struct Prepared;
  Result<std::unique_ptr<PreparedReload>> prepare(std::shared_ptr<const Config> next) override;

  void reload();
  /// What has become of the process itself.
  void tell(Event::Kind kind, std::string text, std::string by = {}, std::vector<std::string> changes = {});
  void on_superseded(const UpgradeOrder& order);
  /// What becomes of backends concerns somebody in this process: a session that has none yet, or a listener
  /// that may bring one.
  bool has_unsettled() const;
  /// Whom the checker watches now.
  HealthDesk::Watched watched() const;
  void begin_shutdown(const char* why, Millis grace);
  /// By a signal: one more of them ends it at once.
  void on_stop_signal(const char* name);
  /// By a command: another one only changes the time that is left.
  void stop(const char* why, std::optional<Millis> grace);
  void shutdown_step();
  /// Ends run(); after an upgrade it tells the newest process first what this one has counted.
  void leave();
  /// Listeners with clients that are still to be served before this process may end.
  std::size_t unserved_listeners() const;

  std::shared_ptr<const Config> first_config_;
  const LoadOptions options_;
  Origin origin_;
  const std::uint32_t worker_count_;
  std::unique_ptr<Loop> loop_;
  Limits limits_;
  StateKeeper state_;
  Events events_;
  Registry registry_;
  Adoption adoption_;
  NameResolution names_;
  const std::string instance_;
  Doors doors_;
  Arrivals arrivals_;
  Listening listening_;
  std::optional<Listening::Change> first_change_;  // until run()
  Fd admin_socket_;                                // until the admin API has it, as the next one
  Fd read_only_admin_socket_;
  std::vector<Web::Socket> web_sockets_;  // until Web has them
  std::unique_ptr<AccessLog> access_log_;
  std::unique_ptr<HealthDesk> health_;
  LoopGuard loop_guard_;
  std::unique_ptr<Fleet> fleet_;
  ServiceManager service_;
  Predecessors predecessors_;
  ElderSearch elder_search_;
  HeldPlaces held_places_;
  SharedLimit<SessionsByBackend> shared_backend_limits_;
  SharedLimit<SessionsByClient> shared_client_limits_;
  Background background_;
  Reload reload_;
  Shortages shortages_;
  HistoryKeeper history_;
  std::unique_ptr<Rebalancing> rebalancing_;
  std::unique_ptr<AdminApi> admin_api_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Web> web_;
  std::unique_ptr<Upgrade> upgrade_;
  std::unique_ptr<Takeover> takeover_;  // of a process that an upgrade has started
  std::unique_ptr<AdminRequest> last_word_;
  std::vector<std::unique_ptr<SignalWatch>> signals_;
  Timer start_timer_;
  Timer slow_start_timer_;
  Timer shutdown_timer_;
  std::chrono::nanoseconds shutdown_deadline_{0};
  std::chrono::nanoseconds orders_deadline_{0};   ///< of answers to whoever has ordered the end
  std::chrono::nanoseconds answers_deadline_{0};  ///< of a superseded process whose last session has ended
  std::vector<std::string> inherited_changes_;    ///< by the file, over the upgrade that has started this
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  std::chrono::system_clock::time_point last_reload_success_ = started_;
  std::map<std::string, std::uint64_t> own_trouble_;  ///< system calls that failed, by what they were for
  bool names_answered_ = false;
  bool targets_stale_ = false;
  bool unsettled_ = true;      ///< of a superseded process: has_unsettled(), when it was looked at last
  bool elders_known_ = false;  ///< no answer of the admin API leaves one out
  std::size_t elders_uncounted_ = 0;  ///< limits that are to know of their sessions before the first accept
  bool open_ = false;
  bool shutting_down_ = false;
  int exit_status_ = 0;
};

}  // namespace weir
