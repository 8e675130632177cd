#include "lb/balance/balancer.h"

namespace weir {

// Each is defined in the policy's own file.
std::unique_ptr<Balancer> build_round_robin(std::span<const Member> members, const BalancerTerms& terms,
                                            const Balancer* previous);
std::unique_ptr<Balancer> build_least_connections(std::span<const Member> members, const BalancerTerms& terms,
                                                  const Balancer* previous);
std::unique_ptr<Balancer> build_source_hash(std::span<const Member> members, const BalancerTerms& terms,
                                            const Balancer* previous);
std::unique_ptr<Balancer> build_random_two(std::span<const Member> members, const BalancerTerms& terms,
                                           const Balancer* previous);
std::unique_ptr<Balancer> build_least_time(std::span<const Member> members, const BalancerTerms& terms,
                                           const Balancer* previous);
std::unique_ptr<Balancer> build_first(std::span<const Member> members, const BalancerTerms& terms,
                                      const Balancer* previous);

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
