#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "health/reporter.h"
#include "lb/balance/agent_state.h"
#include "lb/balance/backend.h"
#include "lb/base/address.h"
#include "lb/config/config.h"
#include "lb/net/loop.h"

namespace weir {

/// A backend to watch.
struct ProbeTarget {
  BackendId id = 0;
  std::string pool;
  std::string name;
  std::vector<Address>
      addresses;  ///< empty while its name does not resolve: it is left alone, and nothing is reported
  ProbeConfig probe;
  bool probing = true;     ///< false: the operator has disabled it
  std::uint64_t life = 0;  ///< Backend::life
  std::shared_ptr<BackendLoad> load;
  /// What is known already of one that is new by its id, and the probe results in a row that speak against
  /// it: its verdict begins there. Of one that is watched already the checker knows better.
  Health health = Health::Unknown;
  std::uint32_t against = 0;
  AgentState agent = {};  ///< the same of its agent's words
};

/// Watches the health of every backend, on a thread and a loop of its own. It begins with what its target
/// says is known, without a report.
///
/// Of a target's changes: a disabled one is forgotten; another life, or another set of addresses (no address
/// in common), makes it unknown; another probe keeps the health until its results say otherwise, so that a
/// reload which only edits an interval takes nobody out.
class Checker {
 public:
  using ReportAgent = std::function<void(AgentReport)>;
  /// `report` and `report_agent` are called on the checker's thread.
  static Result<std::unique_ptr<Checker>> create(std::size_t most_sockets,
                                                 std::function<void(HealthReport)> report,
                                                 ReportAgent report_agent = nullptr);
  ~Checker();  ///< stops

  /// The thread that owns the Checker.
  void start();
  /// Cancels what is under way and joins the thread: at once, or within a second when processes must be
  /// reaped.
  void stop();

  /// The whole set, each time. Any thread.
  void set_targets(std::vector<ProbeTarget> targets);
  /// At most this many probes that cost a descriptor run at once; more wait for their turn. Any thread.
  void set_most_sockets(std::size_t most);
  /// A worker's hint: connects to this backend have begun to fail, or work again
  /// (BackendLoad::report_pending). Any thread.
  void connects_changed(std::shared_ptr<BackendLoad> load);

 private:
  class Core;
  Checker(std::unique_ptr<Loop> loop, std::size_t most_sockets, std::function<void(HealthReport)> report,
          ReportAgent report_agent);

  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Core> core_;  // lives on the checker's thread once it runs
  std::thread thread_;
};

}  // namespace weir
