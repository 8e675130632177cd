#include "lb/balance/balancer.h"

#include <type_traits>

namespace weir {

// Each is defined in the policy's own file.
using Build = std::remove_pointer_t<BalancerFactory>;
Build build_round_robin, build_least_connections, build_source_hash, build_random_two, build_least_time,
    build_first;

namespace {

constexpr BalancerKind kKinds[] = {
    {"round_robin", build_round_robin}, {"least_connections", build_least_connections},
    {"source_hash", build_source_hash}, {"random_two", build_random_two},
    {"least_time", build_least_time},   {"first", build_first},
};

}  // namespace

std::span<const BalancerKind> balancer_kinds() {
  return kKinds;
}

const BalancerKind* find_balancer_kind(std::string_view name) {
  for (const BalancerKind& kind : kKinds) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

}  // namespace weir
