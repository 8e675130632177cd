#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lb/balance/backend.h"

namespace weir {

struct PickInput {
  ClientAddress client;
  /// Backends that this session has already tried and that must not be picked again. Usually empty, a few at
  /// most.
  std::span<const BackendId> tried;
  std::uint64_t now_ms = 0;  ///< by the monotonic clock
  /// Those of `tried` that were not: they had no room when they were to be taken.
  std::span<const BackendId> full = {};

  bool has_tried(BackendId id) const { return std::find(tried.begin(), tried.end(), id) != tried.end(); }
};

/// One backend of the group that a balancer is built for: eligible or not, so that a policy can keep its
/// arrangement of the whole group while members come and go.
struct Member {
  BackendIndex index;  ///< what pick() answers with
  BackendId id;
  std::string_view name;        ///< valid during the build only
  std::uint32_t weight;         ///< 1..256
  std::uint32_t share_percent;  ///< 1..100, slow start
  bool eligible;
  bool limited;       ///< there is a number of sessions that it may have at most
  BackendLoad* load;  ///< outlives the balancer (its Pool holds it)
};

/// Chooses backends for one group (the primaries or the backups) of one pool. Built on the control thread,
/// then shared by all workers: pick() and explain() are thread-safe; pick() never blocks and never allocates.
class Balancer {
 public:
  virtual ~Balancer() = default;

  /// The eligible member for this client that is not in `tried` and has room; nothing when there is none
  /// left. That it has room is to be tried (Lease::take): another may take it first.
  virtual std::optional<BackendIndex> pick(const PickInput& input) const = 0;

  /// What pick() would answer now, without taking a turn, and why: one sentence for each step, appended to
  /// `because`.
  virtual std::optional<BackendIndex> explain(const PickInput& input,
                                              std::vector<std::string>& because) const = 0;
};

/// Some member is limited: whether there is room has to be asked.
inline bool any_limited(std::span<const Member> members) {
  return std::ranges::any_of(members, [](const Member& member) { return member.eligible && member.limited; });
}

/// What some policies go by beside their members.
struct BalancerTerms {
  /// source_hash: nobody gets more than this many times its share of the sessions; 0 = no bound.
  double hash_bound = 0;

  friend bool operator==(const BalancerTerms&, const BalancerTerms&) = default;
};

/// Builds from the group's members, and from the balancer it replaces when there is one of the same kind
/// (else null): round robin carries its cursor on, source hash updates its slots. `previous` may be picking
/// on other threads meanwhile and is not kept.
using BalancerFactory = std::unique_ptr<Balancer> (*)(std::span<const Member> members,
                                                      const BalancerTerms& terms, const Balancer* previous);

struct BalancerKind {
  std::string_view name;
  BalancerFactory build;
};

/// Every policy, in the order of the documentation. A new one is a new .cpp and one line in balancer.cpp.
std::span<const BalancerKind> balancer_kinds();
const BalancerKind* find_balancer_kind(std::string_view name);

}  // namespace weir
