#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lb/config/config.h"
#include "lb/config/load.h"
#include "lb/control/name_resolution.h"
#include "lb/control/registry.h"
#include "lb/net/loop.h"
#include "lb/net/signals.h"
#include "lb/net/timer.h"
#include "lb/proxy/access_log.h"
#include "lb/proxy/gate.h"
#include "lb/proxy/worker.h"

namespace weir {

/// One listener's address and its sockets, bound and listening: one for each worker, or one for all of them
/// (a unix path).
struct BoundAddress {
  std::string listener;
  std::string pool;
  Address address;
  std::vector<Fd> sockets;
};

/// `weir run`: what the process is made of, and who hears of what. Lives on the main thread, whose loop is
/// the control loop.
class Daemon {
 public:
  /// Binds, opens logs, makes threads. Nothing is accepted before run(). An error has left nothing behind.
  static Result<std::unique_ptr<Daemon>> create(std::shared_ptr<const Config> config, LoadOptions options);
  ~Daemon();

  /// Serves until a signal ends it. The exit status.
  int run();

 private:
  Daemon(std::shared_ptr<const Config> config, LoadOptions options, std::unique_ptr<Loop> loop);

  Result<void> bind_all();
  Result<void> make_workers();
  void publish(std::shared_ptr<const Table> table);
  void open_listeners();
  void watch_signals();
  void begin_shutdown(const char* why);
  void shutdown_step();
  void end_now();
  std::uint64_t active_sessions() const { return gate_.active(); }

  std::shared_ptr<const Config> config_;
  const LoadOptions options_;
  const std::uint32_t worker_count_;
  std::unique_ptr<Loop> loop_;
  Gate gate_;
  std::unique_ptr<AccessLog> access_log_;
  std::unique_ptr<WorkerShared> shared_;
  Registry registry_;
  NameResolution resolution_;
  std::vector<BoundAddress> bound_;
  std::vector<std::string> unix_paths_;  ///< of listeners: removed at the end
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<SignalWatch>> signals_;
  Timer shutdown_timer_;
  std::chrono::nanoseconds shutdown_deadline_{0};
  bool shutting_down_ = false;
  int exit_status_ = 0;
};

/// The limit on sessions at once: the configured one, or what the descriptor limit holds.
std::uint64_t session_limit(const Config& config, std::uint32_t workers, std::uint64_t descriptor_limit);

/// Raises the soft limit on open files to the hard one and returns it.
std::uint64_t raise_descriptor_limit();

}  // namespace weir
