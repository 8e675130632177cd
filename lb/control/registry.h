#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/balance/health_report.h"
#include "lb/balance/listener_load.h"
#include "lb/balance/table.h"
#include "lb/config/config.h"
#include "lb/control/commands.h"
#include "lb/control/status.h"

namespace weir {

/// What one configuration changed, a line each, as an operator reads it: "+ web/web4", "~ web/web1 weight
/// 1→5", "- listener old". A run-time member that leaves is among the changes and the notes.
struct ApplyReport {
  std::vector<std::string> changes;
  std::vector<std::string> notes;  ///< overrides that the file won against, run-time members that are gone
};

/// Where the Registry reads the time; tests hand their own.
struct RegistryClock {
  std::function<std::chrono::steady_clock::time_point()> steady = std::chrono::steady_clock::now;
  std::function<std::chrono::system_clock::time_point()> system = std::chrono::system_clock::now;
};

/// The only writer of the Table. Knows three things apart for each backend: what the file says, what the
/// operator said, what the checker says; every change makes a new Table, one generation on, and publishes it.
/// Control thread only.
class Registry {
 public:
  /// Called with every new Table, from within the call that made it.
  using Publish = std::function<void(std::shared_ptr<const Table>)>;

  Registry(std::uint32_t workers, Publish publish, RegistryClock clock = {});
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// The overrides of an earlier life, before the first apply().
  void restore(Overrides overrides);

  /// Takes a configuration, by difference: what did not change keeps its identity, its counters, its health
  /// and its overrides; an override whose backend was edited in the file is dropped and noted. One Table is
  /// published, also when nothing changed.
  ApplyReport apply(std::shared_ptr<const Config> config);
  /// What apply() would report, and nothing else.
  ApplyReport difference(const Config& config) const;
  /// Null before the first apply().
  const std::shared_ptr<const Config>& config() const;

  // --- the checker's word

  /// From the checker, what has come in together: one Table for all of it, and none when only reasons are
  /// new. Ignored are unknown ids (just removed), disabled backends, and what was said of an earlier life.
  /// Answers which backends have been said to be down.
  std::vector<BackendId> set_health(const std::vector<HealthReport>& reports);

  /// From the resolver. Empty = does not resolve, for `reason`; the backend then is unknown, unless it has
  /// addresses from before: those stay in use.
  void set_addresses(BackendId id, std::vector<Address> addresses, std::string reason);

  /// How a pool's backends are probed; null for an unknown pool. Valid until the next apply(). A backend is
  /// to be probed while it is in the Table, not Disabled, has addresses, and its pool's kind is not "none".
  const ProbeConfig* probe(std::string_view pool) const;

  // --- slow start: tick() when next_step() is over. Ask after every publish.

  std::optional<Millis> next_step() const;
  void tick();

  /// For the rates of the status; every RateWindow::kStep.
  void sample_rates();

  // --- the operator's word. `target` is POOL/BACKEND, either part a glob; all of it is done or nothing.
  // Idempotent.

  /// Enabled takes the override away (or overrides the file, if that says otherwise). Unless `force`, refuses
  /// to take a pool's last eligible backend out.
  CommandResult<Change> set_admin(std::string_view target, Admin admin, bool force = false);
  /// Nothing = the file's weight.
  CommandResult<Change> set_weight(std::string_view target, std::optional<std::uint32_t> weight);
  /// Until the next apply().
  CommandResult<Change> add(std::string_view pool, std::string_view name, std::string_view address,
                            std::uint32_t weight = 1, bool backup = false);
  CommandResult<Change> remove(std::string_view target, bool force = false);
  /// Which backends `target` names now; no change.
  CommandResult<Change> find(std::string_view target) const;

  /// For the state file: what set_admin and set_weight said and is still in force.
  const Overrides& overrides() const;

  // --- what is to be seen

  /// `pool` and `backend` select; empty = all.
  CommandResult<Status> status(std::string_view pool = {}, std::string_view backend = {}) const;
  CommandResult<Explanation> explain(std::string_view pool, std::string_view client_ip) const;

  const std::shared_ptr<const Table>& table() const;

  /// The listener's counters, made at its first use; lives as long as the Registry.
  ListenerLoad& listener_load(std::string_view listener, std::string_view pool);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir
