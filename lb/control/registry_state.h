#pragma once

#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "lb/control/health_book.h"
#include "lb/control/leavers.h"
#include "lb/control/legacy.h"
#include "lb/control/listener_loads.h"
#include "lb/control/members.h"
#include "lb/control/operator_words.h"
#include "lb/control/registry.h"
#include "lb/observe/events.h"

namespace weir {

/// What the Registry's parts are joined by: who is a member (Members), who was (Leavers), what operators said
/// (OperatorWords), what sessions count on (ListenerLoads), and the Table that comes of it. A part has one
/// owner's duty and knows no other; only here do they meet.
struct Registry::State {
  State(std::uint32_t worker_count, Publish on_publish, RegistryClock given_clock,
        std::function<HostAddresses()> given_host, Events* given_events)
      : workers(worker_count),
        publish(std::move(on_publish)),
        clock(std::move(given_clock)),
        host(std::move(given_host)),
        events(given_events),
        listener_loads(worker_count) {}

  std::uint32_t workers;
  Publish publish;  ///< null: a rehearsal
  RegistryClock clock;
  std::function<HostAddresses()> host;
  Events* events;  ///< may be null

  /// What has changed goes into the log and to those who ask later; of a rehearsal nothing does.
  void tell(spdlog::level::level_enum level, Event::Kind kind, std::string_view pool,
            std::string_view backend, std::string text, const std::string& by = {}) const;

  std::shared_ptr<const Config> config;
  Members members;
  Leavers leavers;
  Departed departed;
  OperatorWords words;
  /// The members are those of an older process, until the first configuration.
  bool inherited = false;
  /// What another process has taken over to count on from.
  struct {
    std::map<BackendId, Totals> backends;
    std::map<std::pair<std::string, std::string>, std::uint64_t> listeners;  ///< by listener and pool
    std::map<BackendId, Tally> tallies;
    std::map<std::pair<std::string, std::string>, ListenerTally> listener_tallies;
    std::map<std::string, Departed::Counted> rest;  ///< by pool
    bool done = false;
  } handed_over;
  /// What older processes of this Weir still have (SharedLimit).
  SessionsByBackend active_elsewhere;
  /// Of every pool that there has ever been: what is counted of a name stays, as its backends' loads do.
  std::map<std::string, std::shared_ptr<PoolLoad>, std::less<>> pool_loads;
  BackendId last_id = 0;
  std::uint64_t last_life = 0;

  ListenerLoads listener_loads;
  std::shared_ptr<const Table> table = std::make_shared<const Table>();

  /// Whoever an id names: a member, or a leaver that is probed on.
  struct Subject {
    Standing* standing;
    PoolEntry* pool;      ///< null: a leaver
    const Backend* left;  ///< null: a member
    Entry* entry;         ///< null: a leaver
    std::string_view pool_name() const { return pool != nullptr ? pool->config.name : left->load->pool; }
    const std::string& name() const { return entry != nullptr ? entry->file.name : left->name; }
    const Endpoint& endpoint() const { return entry != nullptr ? entry->file.endpoint : left->endpoint; }
  };

  // registry.cpp
  std::optional<Subject> find(BackendId id);
  Admin admin(const Subject& subject) const;
  Admin admin(const PoolEntry& pool, const Entry& entry) const {
    return words.admin(pool.config.name, entry.file);
  }
  std::uint32_t weight(const PoolEntry& pool, const Entry& entry) const {
    return words.weight(pool.config.name, entry.file);
  }
  Backend backend(const PoolEntry& pool, const Entry& entry) const;
  const std::shared_ptr<PoolLoad>& pool_load(const std::string& name);
  std::uint32_t elsewhere(const BackendLoad& load) const;
  /// Builds the pool anew when it differs from what is published. True when it did.
  bool rebuild(PoolEntry& pool);
  /// Says how the pool stands now, when that has changed.
  void judge(PoolEntry& pool);
  /// Rebuilds what differs; a new Table when something did, or when `always`. True when there is one.
  bool refresh(bool always = false);
  /// Of that pool, and of those for which others stand in.
  bool refresh(PoolEntry* pool);
  void publish_table();
  /// What is said of it is new, or may be: its pool is to be looked at.
  bool take_report(const HealthReport& report, const Subject& subject);
  /// The same of what its agent has said.
  bool take_agent(const AgentReport& report);
  /// The health a backend has before anybody has looked.
  void forget_health(PoolEntry& pool, Entry& entry);
  void change_health(const Subject& subject, Health health, std::string reason, bool on_trial);
  void leave(const PoolEntry& pool, const Entry& entry);
  /// Under its old name and address it is the same one; what is known of the place is carried over.
  Entry make_entry(PoolEntry& pool, const BackendConfig& backend, const HealthBook& book);
  HealthBook health_book() const;

  // stand_ins.cpp
  /// Who could stand in for whom, before a configuration changes the members: by pool, those who serve its
  /// sessions.
  using Serving = std::map<std::string, std::vector<BackendId>, std::less<>>;
  Serving serving();
  std::vector<BackendId> candidates(const PoolEntry& pool, const Serving& before, const Config* now,
                                    const Config& next) const;
  void choose_stand_ins(PoolEntry& pool, const Serving& before, const Config* now, const Config& next);
  /// Nobody of its own is eligible, and of one at least nothing has been heard yet.
  bool wants_stand_ins(const PoolEntry& pool) const;
  /// Of these, those who are still there, eligible or not.
  std::vector<Backend> backends(const std::vector<BackendId>& ids);
  std::vector<Backend> stand_ins(const PoolEntry& pool);
  /// Those that `text` (POOL/BACKEND, globs) names stand in no more; it is for the caller to publish. Unless
  /// `force`, refuses to take from a pool all that it has.
  CommandResult<std::vector<Changed>> dismiss(std::string_view text, std::string_view verb, bool force);
  std::unordered_set<BackendId> all_stand_ins() const;

  // registry_legacy.cpp
  std::vector<Legacy::StandIn> stand_ins_to_hand_over(const PoolEntry& pool);
  /// The member that it is, or a leaver of this process. The members are those of the older process.
  BackendId inherit_stand_in(const Legacy::StandIn& one);

  // registry_addresses.cpp
  /// The listeners of `of`; tags are their places in it.
  OwnSockets own_listeners(const Config& of) const;
  /// Takes what its name resolves to, less what leads back to Weir.
  void use_resolved(const Subject& subject, const OwnSockets& own);
  /// After a change of listeners.
  void recheck_resolved();

  // registry_difference.cpp
  ApplyReport compare(const Config& next, Over over) const;
  void compare_pool(const PoolEntry* before, const PoolConfig& next, Over over, ApplyReport& report) const;
  /// `pool` and `before` are as they are now, each null when there is none.
  void compare_backend(const PoolEntry* pool, const PoolConfig& next, const Entry* before,
                       const BackendConfig& file, Over over, ApplyReport& report) const;
  void note_leaving(const PoolEntry& pool, const Entry& entry, ApplyReport& report) const;

  // registry_apply.cpp
  /// Members, words and leavers as `next` has them, and what is to be said of it. `before`: who has served
  /// until now. Publishes nothing.
  ApplyReport take(const Config& next, Over over, const Serving& before);
  /// `next` with those who were added at run time, as far as it leaves them their names and addresses.
  Config with_added(const Config& next) const;
  /// The same parts, to try something on; publishes nothing.
  State rehearsal() const;
  /// `old`: the pool of that name; null: there is none. Its entries are gone then. `before`: the same of a
  /// backend.
  void apply_pool(const PoolConfig& config, PoolEntry* old, const HealthBook& book, Over over);
  Entry apply_backend(PoolEntry& pool, PoolEntry* old, Entry* before, const BackendConfig& file,
                      const HealthBook& book, Over over);
  /// Says who serves the pool's sessions when none of its own does.
  void note_service(const PoolEntry& pool, const Serving& before, ApplyReport& report);

  // registry_commands.cpp
  struct Target {
    PoolEntry* pool;
    Entry* entry;
  };
  CommandResult<std::vector<Target>> targets(std::string_view text);
  /// Those of targets() that have not been removed; refused when that is none.
  CommandResult<std::vector<Target>> present(std::string_view text);
  /// Whom a word against them reaches: members, and those who stand in (who do not any more).
  struct Reach {
    std::vector<Target> targets;
    std::vector<Changed> dismissed;
  };
  CommandResult<Reach> reach(std::string_view target, std::string_view verb, bool force);
  Change change_of(const std::vector<Target>& targets, bool published, std::vector<Changed> more = {}) const;
  void tell_word(const PoolEntry& pool, const Entry& entry, const std::string& before, const std::string& now,
                 const Remark& remark) const;
  /// Its word on `admin` is another than when it was `before`.
  void admin_changed(PoolEntry& pool, Entry& entry, Admin before);
  CommandResult<void> check_not_last(const std::vector<Target>& targets, std::string_view verb) const;
  CommandError unknown_pool(std::string_view name) const;
  CommandError unknown_backend(std::string_view pool, std::string_view backend) const;
  CommandResult<void> check_new_member(const PoolEntry& pool, const BackendConfig& backend) const;

  // registry_status.cpp
  /// Of every backend that stands in, the names of the pools it does so for.
  using StandInPools = std::unordered_map<BackendId, std::vector<std::string_view>>;
  StandInPools stand_in_pools() const;
  bool in_view(const Leaver& leaver) const { return leaver.stands_in || leaver.last.load->active > 0; }
  BackendStatus counted(const Backend& backend) const;
  BackendStatus removed_status(const Backend& backend) const;
  BackendStatus leaver_status(const Leaver& leaver) const;
  /// `published`: what its pool's Table says of it, for only a whole pool knows whether try_all is in force;
  /// null: nothing.
  BackendStatus entry_status(const PoolEntry& pool, const Entry& entry, const Backend* published,
                             const StandInPools& stand_in_pools) const;
  /// Of those who are members.
  PoolStatus pool_status(const PoolEntry& pool, std::string_view backend_glob,
                         const StandInPools& stand_in_pools) const;
  ListenerStatus listener_status(const ListenerConfig& listener, const ListenerLoads::Sum& sessions) const;
};

Totals totals_of(const BackendLoad& load);

/// Sessions connected to that backend so far, over all workers.
std::uint64_t total_sessions(const BackendLoad& load);

std::string format_key(std::string_view pool, std::string_view backend);

}  // namespace weir
