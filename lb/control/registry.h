#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/balance/agent_state.h"
#include "lb/balance/health_report.h"
#include "lb/balance/listener_load.h"
#include "lb/balance/table.h"
#include "lb/base/own_sockets.h"
#include "lb/config/config.h"
#include "lb/control/commands.h"
#include "lb/control/legacy.h"
#include "lb/control/metrics_view.h"
#include "lb/control/status.h"

namespace weir {

class Events;
class History;

/// What one configuration changed, a line each, as an operator reads it: "+ web/web4", "~ web/web1 weight
/// 1→5", "- listener old". A run-time member that leaves is among the changes and the notes.
struct ApplyReport {
  std::vector<std::string> changes;
  /// Overrides that the file won against, run-time members that are gone, pools that nobody of their own can
  /// serve yet.
  std::vector<std::string> notes;
  /// Pools that had somebody to serve their sessions, or are new, and have nobody by this configuration: none
  /// is eligible, none stands in, and there is no verdict to wait for.
  std::vector<std::string> bereft;
};

/// A backend for the checker to watch, and what is known of it already.
struct Watch {
  BackendId id = 0;
  std::string pool;
  std::string name;
  std::vector<Address> addresses;  ///< empty while its name does not resolve
  ProbeConfig probe;
  bool probing = true;     ///< false: disabled
  std::uint64_t life = 0;  ///< Backend::life
  Health health = Health::Unknown;
  std::uint32_t against = 0;  ///< probe results in a row that speak against `health`
  AgentState agent;           ///< what its agent has said, if it has one
  std::shared_ptr<BackendLoad> load;
};

/// Where the Registry reads the time; tests hand their own.
struct RegistryClock {
  std::function<std::chrono::steady_clock::time_point()> steady = std::chrono::steady_clock::now;
  std::function<std::chrono::system_clock::time_point()> system = std::chrono::system_clock::now;
};

/// What the name of a backend resolves to.
struct AddressReport {
  BackendId id = 0;
  std::vector<Address> addresses;  ///< empty: nothing is known of the name
  std::string reason;              ///< why: a sentence for the operator
};

/// The only writer of the Table. Knows three things apart for each backend: what the file says, what the
/// operator said, what the checker says; every change makes a new Table, one generation on, and publishes it.
/// Control thread only.
class Registry {
 public:
  /// Called with every new Table, from within the call that made it.
  using Publish = std::function<void(std::shared_ptr<const Table>)>;

  /// `host`: read whenever it matters what a connect to an address would end at. `events`: where what changes
  /// is noted; borrowed, null: nowhere.
  Registry(std::uint32_t workers, Publish publish, RegistryClock clock = {},
           std::function<HostAddresses()> host = HostAddresses::read, Events* events = nullptr);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// The overrides of an earlier life, before the first apply().
  void restore(Overrides overrides);

  /// What an older process knew and had counted, and the configuration it worked by (null: this Weir cannot
  /// read it; then only what was counted is taken). After restore() and before the first apply(), which then
  /// takes its configuration by the difference to that one. Members and removals at run time stay.
  void inherit(const Legacy& legacy, std::shared_ptr<const Config> old);
  /// For the process that follows.
  Legacy legacy() const;
  /// It has taken that over: what the status counts from now on is what comes on top of it.
  void hand_over(const Legacy& legacy);

  /// Whether some backend can be full.
  bool any_limited() const;
  /// The sessions that there are now, of those who have left, too.
  SessionsByBackend active() const;
  /// How many other processes of this Weir have; those that are not named have none there.
  void set_active_elsewhere(SessionsByBackend sessions);

  /// What this process has counted beyond what it has handed over. What it counted for a backend that has
  /// left and been forgotten is not in it.
  Counts counts() const;
  /// What another process of this Weir has counted in the same way. That of backends which are not there any
  /// more is dropped.
  void add(const Counts& counts);

  /// Takes a configuration, by difference: what did not change keeps its identity, its counters, its health
  /// and its overrides; an override whose backend was edited in the file is dropped and noted. One Table is
  /// published, also when nothing changed.
  ApplyReport apply(std::shared_ptr<const Config> config);
  /// What apply() would report, and nothing else. Over an upgrade members and removals at run time stay.
  enum class Over : std::uint8_t { Reload, Upgrade };
  ApplyReport difference(const Config& config, Over over = Over::Reload) const;
  /// The same by what is known now, to be found out later, once, on any thread: to compare many thousands of
  /// backends takes its time.
  using Rehearsal = std::function<ApplyReport(const Config&)>;
  Rehearsal rehearsal(Over over = Over::Reload) const;
  /// Null before the first apply().
  const std::shared_ptr<const Config>& config() const;

  // --- the checker's word

  /// From the checker, what has come in together: one Table for all of it, and none when only reasons are
  /// new. Ignored are unknown ids (just removed), disabled backends, and what was said of an earlier life.
  /// Answers which backends have been said to be down.
  std::vector<BackendId> set_health(const std::vector<HealthReport>& reports);

  /// What backends' agents have said, what has come in together: one Table for all of it, if it makes a
  /// difference. Unknown ids are ignored.
  void set_agents(const std::vector<AgentReport>& reports);

  /// From the resolver, what has come in together: one Table for all of it. An address that is one of Weir's
  /// own listeners, now or by a later apply(), is not used. A backend without any is unknown. Addresses that
  /// change leave the health what it is. Unknown ids are ignored.
  void set_addresses(std::vector<AddressReport> reports);

  /// Who is to be watched: every member, and those who have left and stand in. Ask after every publish.
  std::vector<Watch> watched() const;

  // --- slow start: tick() when next_step() is over. Ask after every publish.

  std::optional<Millis> next_step() const;
  void tick();

  /// For the rates of the status; every RateWindow::kStep.
  void sample_rates();
  /// One look at all that there are, those whose last sessions go on included; every
  /// HistorySeries::kShortStep. What other processes of this Weir have counted is not in it.
  void look(History& history) const;

  // --- the operator's word. `target` is POOL/BACKEND, either part a glob; all of it is done or nothing.
  // Idempotent.

  /// Enabled takes the override away (or overrides the file, if that says otherwise). Unless `force`, refuses
  /// to take a pool's last eligible backend out.
  CommandResult<Change> set_admin(std::string_view target, Admin admin, bool force = false,
                                  const Remark& remark = {});
  /// Nothing = the file's weight.
  CommandResult<Change> set_weight(std::string_view target, std::optional<std::uint32_t> weight,
                                   const Remark& remark = {});
  /// When the next word ends that was said for a time, by the system's clock. Ask after every change.
  std::optional<SystemTime> next_word_end() const;
  /// Ends those whose time is over, as `enable` and `weight default` do, but for a pool's last backend, too.
  /// Answers whom that has enabled.
  std::vector<BackendId> end_words();
  /// Until the next apply().
  CommandResult<Change> add(std::string_view pool, std::string_view name, std::string_view address,
                            std::uint32_t weight = 1, bool backup = false, std::uint32_t max_sessions = 0,
                            const std::string& by = {});
  CommandResult<Change> remove(std::string_view target, bool force = false, const std::string& by = {});
  /// How far those are whom `target` names and who are out of rotation: drained, disabled, removed, or gone
  /// from the file and not without sessions.
  struct Drains {
    Change left;
    std::vector<std::string> enabled;  ///< POOL/BACKEND of those whom `target` names as well, and who are not
  };
  CommandResult<Drains> drains(std::string_view target) const;

  /// For the state file: what set_admin and set_weight said and is still in force.
  const Overrides& overrides() const;

  // --- what is to be seen

  /// `pool` and `backend` select; empty = all.
  CommandResult<Status> status(std::string_view pool = {}, std::string_view backend = {}) const;
  // That there is none of this name, and which one may be meant.
  CommandError unknown_listener(std::string_view name) const;
  CommandError unknown_pool(std::string_view name) const;
  /// Why listeners cannot be served, a line each: those named, or else all that count. Empty: they can.
  CommandResult<std::vector<std::string>> unready(const std::vector<std::string>& listeners) const;
  /// `pool`: of this one only; "" = all.
  /// `elders`: what older processes have counted besides.
  CommandResult<MetricsView> metrics_view(std::string_view pool = {}, Counts elders = {}) const;
  CommandResult<Explanation> explain(std::string_view pool, std::string_view client_ip) const;

  const std::shared_ptr<const Table>& table() const;

  /// The listener's counters, made at its first use; lives as long as the Registry.
  /// That it has now, whatever pools it has fed.
  std::uint64_t listener_sessions(std::string_view name) const;
  ListenerLoad& listener_load(std::string_view listener, std::string_view pool);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir
