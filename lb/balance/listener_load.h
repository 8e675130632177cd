#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lb/balance/backend.h"
#include "lb/balance/end_book.h"
#include "lb/base/state.h"

namespace weir {

/// Who a listener is and how busy it is, over all workers. Owned by the Registry for the life of the process,
/// so that sessions and access-log records point to it without counting; a listener that moves to another
/// pool gets a new one. Thread-safe.
class ListenerLoad {
 public:
  ListenerLoad(std::string own_name, std::string pool_name, std::uint32_t workers)
      : name(std::move(own_name)),
        pool(std::move(pool_name)),
        accepted(workers),
        turned_away(workers),
        sampled(workers),
        unserved(workers) {}

  const std::string name;
  const std::string pool;

  std::atomic<std::uint64_t> max_connections{0};  ///< 0 = only the global limit
  alignas(64) std::atomic<std::uint64_t> active{0};
  std::atomic<std::uint64_t> arriving{0};  ///< of them, those that have yet to say who they are
  std::atomic<std::uint64_t> refused{0};   ///< clients, at max_connections: each as often as it is tried

  struct alignas(64) Total {
    std::atomic<std::uint64_t> value{0};  ///< written by its worker only
  };
  std::vector<Total> accepted;
  /// Clients that were not let in, by the word of their end.
  struct alignas(64) TurnedAway {
    std::array<std::atomic<std::uint64_t>, kEnds> by_end{};  ///< written by its worker only
  };
  /// Of one worker and end word: the records of turned-away clients that go to the access log (AccessLog).
  struct SampledLines {
    std::uint32_t lines = 0;               ///< of that second, with a record of their own; its worker's only
    std::atomic<std::int64_t> second{-1};  ///< since 1970; written by its worker
    std::atomic<std::uint64_t> others{0};  ///< without one, and not told yet
  };
  std::vector<TurnedAway> turned_away;
  struct alignas(64) Sampled {
    std::array<SampledLines, kEnds> by_end;
  };
  mutable std::vector<Sampled> sampled;  ///< of each worker
  void count_turned_away(std::uint32_t worker, End how) {
    auto& count = turned_away[worker].by_end[static_cast<std::size_t>(how)];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  std::uint64_t turned_away_as(End how) const {
    std::uint64_t sum =
        turned_away_elsewhere.by_end[static_cast<std::size_t>(how)].load(std::memory_order_relaxed);
    for (const TurnedAway& worker : turned_away)
      sum += worker.by_end[static_cast<std::size_t>(how)].load(std::memory_order_relaxed);
    return sum;
  }
  /// Sessions that ended without a backend, by the pool that was to have one for them. Written by its worker
  /// only.
  struct alignas(64) Unserved {
    EndBook ends;
  };
  std::vector<Unserved> unserved;
  EndBook unserved_elsewhere;  ///< by other processes of this Weir; the control thread's
  TurnedAway turned_away_elsewhere;
  Total elsewhere;  ///< by other processes of this Weir; written by the control thread only
};

}  // namespace weir
