#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lb/admit/rate.h"
#include "lb/balance/backend.h"
#include "lb/balance/balancer.h"
#include "lb/balance/pool_load.h"
#include "lb/balance/wait_for.h"
#include "lb/base/duration.h"

namespace weir {

/// What a pool is, without its backends.
struct PoolSettings {
  std::string name;
  std::string balance;  ///< a name of balancer_kinds()
  Millis connect_timeout{2000};
  std::uint32_t connect_attempts = 3;
  Millis idle_timeout{600'000};
  Millis half_close_timeout{30'000};
  bool try_all_when_down = false;         ///< on_all_down = "try_all"
  bool close_sessions_when_down = false;  ///< on_backend_down = "close"
  SendProxy send_proxy = SendProxy::Off;
  std::vector<Address> source = {};  ///< to connect from, in turn; empty = what the kernel takes
  /// Sessions that may wait until a backend has room, and for how long.
  std::uint32_t queue = 100;
  Millis queue_timeout{5000};
  Millis hedge_after{0};  ///< of a connect, until a second one is tried beside it; 0 = never
  BalancerTerms terms = {};
  Rate rebalance = {};               ///< sessions ended so, after a backend has come; no limit = never
  Millis max_lifetime{0};            ///< 0 = no limit
  std::uint64_t rate_to_client = 0;  ///< of a session, bytes a second; 0 = no limit
  std::uint64_t rate_to_backend = 0;
  std::string congestion_control = {};  ///< "" = as UnnamedCongestionControl has it

  friend bool operator==(const PoolSettings&, const PoolSettings&) = default;
};

/// What a pool answers to a session that looks for a backend.
struct Choice {
  enum class Kind : std::uint8_t {
    Chosen,
    Wait,  ///< somebody may serve later
    None   ///< nobody can
  };
  Kind kind = Kind::None;
  const Backend* backend = nullptr;          ///< of Chosen
  WaitFor wait_for = WaitFor::FirstVerdict;  ///< of Wait: this, or BackendSlot
};

/// Decides what only a whole pool can: sets `last_resort`, `used_although_down` and what `reason` says of it.
/// A passive ejection takes nobody while it would leave the pool with nobody in rotation: then all the
/// ejected and all on trial are used, by every session, until one of them has worked. Pure.
void settle_exceptions(const PoolSettings& settings, std::vector<Backend>& backends);

/// The primaries or the backups of a pool: who is in rotation, and who is tried by one session at a time.
class BackendGroup {
 public:
  /// `previous` is the group this one replaces, or null.
  void build(const PoolSettings& settings, const std::vector<Backend>& backends, bool backups,
             const BackendGroup* previous);

  /// Of a backend on trial, takes BackendLoad::trial_taken: it is now the caller's.
  std::optional<BackendIndex> pick(const PickInput& input) const;
  std::optional<BackendIndex> explain(const PickInput& input, std::vector<std::string>& because) const;

 private:
  struct Trial {
    BackendIndex index;
    BackendId id;
    BackendLoad* load;
  };
  const Trial* find_trial(BackendIndex index) const;
  bool has_free_trial(const PickInput& input) const;

  std::unique_ptr<Balancer> rotation_;
  std::vector<Trial> trials_;
  /// Those in rotation and those on trial: says whose turn it would be if all were well, so that a trial goes
  /// to a session which the backend would get anyway. Null when there is no trial.
  std::unique_ptr<Balancer> with_trials_;
};

/// One version of one pool. Immutable; shared by every Table in which the pool did not change, so that a
/// change elsewhere does not disturb its balancers. Built on the control thread, read by all.
class Pool {
 public:
  /// `previous` is the version this one replaces, or null. `load`: shared by all versions.
  static std::shared_ptr<const Pool> build(PoolSettings settings, std::vector<Backend> backends,
                                           const Pool* previous, std::shared_ptr<PoolLoad> load = nullptr);

  const PoolSettings& settings() const { return settings_; }
  const std::vector<Backend>& backends() const { return backends_; }
  /// Some backend may be full.
  bool limited() const { return !limited_.empty(); }
  /// Its queue, where it is limited.
  const std::shared_ptr<PoolLoad>& load() const { return load_; }
  const Backend* find(std::string_view name) const;
  const Backend* find(BackendId id) const;

  /// For a session: the backend that pick() answers, else whether to wait for one. Thread-safe, never blocks,
  /// never allocates.
  Choice choose(const PickInput& input) const;
  /// Primaries first; backups when no primary is eligible, or all eligible ones have been tried or are full.
  /// When these have been tried too, and none of them was merely full, one that is held back is better than
  /// nobody: the least busy one, primaries before backups. An answer that is Backend::for_one_session is the
  /// caller's trial, and nobody else's: it clears BackendLoad::trial_taken when it has learnt nothing of the
  /// backend. Thread-safe, never blocks, never allocates.
  const Backend* pick(const PickInput& input) const;
  /// What choose() and the queue would make of a session that comes now, and why: one sentence for each step,
  /// appended to `because`. Takes nothing.
  Choice explain(const PickInput& input, std::vector<std::string>& because) const;
  bool any_eligible() const { return any_eligible_; }
  /// Nobody is eligible, nobody is about to be, and nobody is used all the same.
  bool is_down() const { return !any_eligible_ && !any_undecided_ && !settings_.try_all_when_down; }

 private:
  Pool() = default;
  const Backend* pick_held_back(const PickInput& input) const;
  /// Of those held back the one to be used, which is not taken; null while one in rotation is merely full.
  const Backend* find_held_back(const PickInput& input) const;
  /// One that is on trial with another session: what that finds is waited for, where nobody else is left.
  const Backend* find_trial(const PickInput& input) const;

  // Where the balancers have nobody: what is limited and untried is full.

  bool rotation_is_full(const PickInput& input) const;
  /// Somebody would serve it, had it room.
  bool only_full(const PickInput& input) const;
  Choice wait_for_somebody(const PickInput& input) const;

  const Backend* explain_pick(const PickInput& input, std::vector<std::string>& because) const;
  const Backend* explain_held_back(const PickInput& input, std::vector<std::string>& because) const;
  Choice explain_queue(std::vector<std::string>& because) const;

  PoolSettings settings_;
  std::shared_ptr<PoolLoad> load_;
  std::vector<Backend> backends_;
  BackendGroup primaries_;
  BackendGroup backups_;
  std::vector<std::pair<BackendId, BackendIndex>> by_id_;  ///< sorted
  std::vector<BackendIndex> limited_;                      ///< of those that sessions may get
  std::vector<BackendIndex> held_back_;  ///< ejected or on trial, while others are in rotation
  bool any_eligible_ = false;
  bool any_undecided_ = false;
};

/// What every worker reads: all pools at one generation. Immutable.
struct Table {
  Table() = default;
  Table(std::uint64_t of_generation, std::vector<std::shared_ptr<const Pool>> all_pools);

  const std::uint64_t generation = 0;
  const std::vector<std::shared_ptr<const Pool>> pools = {};

  /// Null when there is none. One look: each worker asks for each of its listeners' pools when a Table comes.
  std::shared_ptr<const Pool> find(std::string_view name) const;

 private:
  std::unordered_map<std::string_view, std::uint32_t> places_;  // by the names that the pools have
};

}  // namespace weir
