#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lb/balance/backend.h"

namespace weir {

/// Who a listener is and how busy it is, over all workers. Owned by the Registry for the life of the process,
/// so that sessions and access-log records point to it without counting; a listener that moves to another
/// pool gets a new one. Thread-safe.
class ListenerLoad {
 public:
  ListenerLoad(std::string own_name, std::string pool_name, std::uint32_t workers)
      : name(std::move(own_name)), pool(std::move(pool_name)), accepted(workers) {}

  const std::string name;
  const std::string pool;

  std::atomic<std::uint64_t> max_connections{0};  ///< 0 = only the global limit
  alignas(64) std::atomic<std::uint64_t> active{0};
  std::atomic<std::uint64_t> refused{0};  ///< clients, at max_connections: each as often as it is tried

  struct alignas(64) Total {
    std::atomic<std::uint64_t> value{0};  ///< written by its worker only
  };
  std::vector<Total> accepted;
  Total elsewhere;  ///< by other processes of this Weir; written by the control thread only
};

}  // namespace weir
