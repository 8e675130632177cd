#pragma once

#include <map>
#include <set>

#include "lb/control/rate_window.h"
#include "lb/control/registry.h"
#include "lb/control/slow_start.h"

namespace weir {

/// One backend as the three parties see it. The parts have one writer each: the file, the operator, the
/// checker.
struct Entry {
  BackendConfig file;  ///< of a run-time member: what `add` said
  bool added = false;  ///< at run time
  bool out = false;    ///< removed by an operator until the next reload
  /// Since when the file's `admin` is in force: read, or an override taken away.
  std::chrono::system_clock::time_point admin_since;

  std::vector<Address> addresses;
  Health health = Health::Unknown;
  bool on_trial = false;
  std::string reason;
  std::chrono::system_clock::time_point since;
  std::uint64_t life = 0;  ///< Backend::life

  /// It was down or in maintenance: the next time it is up for good, its share grows slowly.
  bool recovering = false;
  std::optional<SlowStart> slow_start;

  std::shared_ptr<BackendLoad> load;
  RateWindow rate;  ///< of its sessions
};

struct PoolEntry {
  PoolConfig config;
  std::vector<Entry> entries;
  std::shared_ptr<const Pool> built;
};

/// A backend in view for its last sessions only.
struct Leaver {
  Backend last;
};

struct Registry::State {
  State(std::uint32_t worker_count, Publish on_publish, RegistryClock given_clock)
      : workers(worker_count), publish(std::move(on_publish)), clock(std::move(given_clock)) {}

  std::uint32_t workers;
  Publish publish;
  RegistryClock clock;

  std::shared_ptr<const Config> config;
  std::vector<PoolEntry> pools;
  std::vector<Leaver> leavers;
  Overrides overrides;
  std::shared_ptr<const Table> table = std::make_shared<const Table>();
  BackendId last_id = 0;
  std::uint64_t last_life = 0;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<ListenerLoad>, std::less<>> listener_loads;

  // registry.cpp
  PoolEntry* find_pool(std::string_view name);
  Entry* find_entry(BackendId id, PoolEntry** pool);
  const Override* override_of(const PoolEntry& pool, const Entry& entry) const;
  Admin admin(const PoolEntry& pool, const Entry& entry) const;
  std::uint32_t weight(const PoolEntry& pool, const Entry& entry) const;
  Backend backend(const PoolEntry& pool, const Entry& entry) const;
  /// Builds the pool anew when it differs from what is published. True when it did.
  bool rebuild(PoolEntry& pool);
  /// Rebuilds what differs; a new Table when something did, or when `always`. True when there is one.
  bool refresh(bool always = false);
  bool refresh(PoolEntry& pool);
  void publish_table();
  /// The pool that may have to be rebuilt for it; null when only a reason is new, or nothing.
  PoolEntry* take_report(const HealthReport& report);
  /// The health a backend has before anybody has looked.
  void forget_health(const PoolEntry& pool, Entry& entry);
  void change_health(const PoolEntry& pool, Entry& entry, Health health, std::string reason, bool on_trial);
  void leave(const PoolEntry& pool, const Entry& entry);
  std::shared_ptr<BackendLoad> identity(const std::string& pool, const BackendConfig& backend);
  Entry make_entry(const PoolEntry& pool, const BackendConfig& backend);

  // registry_difference.cpp
  ApplyReport difference(const Config& next) const;
  void compare_pool(const PoolEntry* before, const PoolConfig& next, ApplyReport& report) const;
  void compare_backend(const std::string& pool, const Entry* before, const BackendConfig& file,
                       ApplyReport& report) const;
  void note_leaving(const PoolEntry& pool, const Entry& entry, ApplyReport& report) const;

  // registry_apply.cpp
  void apply_pool(const PoolConfig& config, std::vector<PoolEntry>& old);
  Entry apply_backend(PoolEntry& pool, PoolEntry* old, const BackendConfig& file);
  /// True when the operator's word on `admin` is dropped.
  bool settle_override(const std::string& pool, const BackendConfig& file);
  void drop_orphans(const Config& next);

  // registry_commands.cpp
  struct Target {
    PoolEntry* pool;
    Entry* entry;
  };
  CommandResult<std::vector<Target>> targets(std::string_view text);
  Change change_of(const std::vector<Target>& targets, bool published) const;
  CommandResult<void> check_not_last(const std::vector<Target>& targets, std::string_view verb) const;
  void store_override(const PoolEntry& pool, const Entry& entry, Override value);
  CommandError unknown_pool(std::string_view name) const;
  CommandError unknown_backend(std::string_view pool, std::string_view backend) const;
  CommandResult<void> check_new_member(const PoolEntry& pool, const BackendConfig& backend) const;

  // registry_status.cpp
  BackendStatus entry_status(const PoolEntry& pool, const Entry& entry) const;
  PoolStatus pool_status(const PoolEntry& pool, std::string_view backend_glob) const;
  ListenerStatus listener_status(const ListenerConfig& listener) const;
};

/// What is left of an operator's word once the file says this: an edit of the very value, or of the address,
/// wins.
Override settled(Override said, const BackendConfig& file);

/// Sessions connected to that backend so far, over all workers.
std::uint64_t total_sessions(const BackendLoad& load);

std::string format_key(std::string_view pool, std::string_view backend);

}  // namespace weir
