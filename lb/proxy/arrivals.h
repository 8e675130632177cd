#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <vector>

#include "lb/proxy/session_list.h"

namespace weir {

class Session;

/// A session's place among those of its worker that have yet to say who they are; in the order of accepts.
struct ArrivalPlace : ListPlace {
  explicit ArrivalPlace(Session& of) : session(of) {}
  Session& session;
};

/// How many sessions, of all workers together, have yet to say who they are, and where the one is that has
/// waited longest: slow headers must not take all the places there are. Any thread; lock-free. What a race
/// may cost is that the second-oldest gives way.
class Arrivals {
 public:
  explicit Arrivals(std::uint32_t workers) : oldest_(workers) {}

  /// How many there are with it.
  std::uint64_t begin() { return count_.fetch_add(1) + 1; }
  void end() { count_.fetch_sub(1); }
  std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }

  /// When that worker's oldest was accepted, by the monotonic clock; kNobody: it has none. By that worker.
  static constexpr std::int64_t kNobody = std::numeric_limits<std::int64_t>::max();
  void set_oldest(std::uint32_t worker, std::int64_t accepted_ns) {
    oldest_[worker].accepted_ns.store(accepted_ns, std::memory_order_relaxed);
  }
  /// The worker that has the oldest of all.
  std::uint32_t worker_of_oldest() const {
    const auto first = std::ranges::min_element(
        oldest_, {}, [](const Oldest& one) { return one.accepted_ns.load(std::memory_order_relaxed); });
    return static_cast<std::uint32_t>(first - oldest_.begin());
  }

 private:
  struct alignas(64) Oldest {
    std::atomic<std::int64_t> accepted_ns{kNobody};
  };
  std::atomic<std::uint64_t> count_{0};
  std::vector<Oldest> oldest_;
};

}  // namespace weir
