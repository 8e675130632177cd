#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/balance/backend.h"
#include "lb/balance/balancer.h"
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

  friend bool operator==(const PoolSettings&, const PoolSettings&) = default;
};

/// One version of one pool. Immutable; shared by every Table in which the pool did not change, so that a
/// change elsewhere does not disturb its balancers. Built on the control thread, read by all.
class Pool {
 public:
  /// `previous` is the version this one replaces, or null.
  static std::shared_ptr<const Pool> build(PoolSettings settings, std::vector<Backend> backends,
                                           const Pool* previous);

  const PoolSettings& settings() const { return settings_; }
  const std::vector<Backend>& backends() const { return backends_; }
  const Backend* find(std::string_view name) const;
  const Backend* find(BackendId id) const;

  /// Primaries first; backups when no primary is eligible, or all eligible ones have been tried. Thread-safe,
  /// never blocks, never allocates.
  const Backend* pick(const PickInput& input) const;
  const Backend* explain(const PickInput& input, std::vector<std::string>& because) const;
  bool any_eligible() const { return any_eligible_; }

 private:
  Pool() = default;

  PoolSettings settings_;
  std::vector<Backend> backends_;
  std::unique_ptr<Balancer> primaries_;
  std::unique_ptr<Balancer> backups_;
  bool any_eligible_ = false;
};

/// What every worker reads: all pools at one generation. Immutable.
struct Table {
  std::uint64_t generation = 0;
  std::vector<std::shared_ptr<const Pool>> pools;

  const Pool* find(std::string_view name) const;
};

}  // namespace weir
