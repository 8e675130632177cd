#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace weir {

/// Knows which Table each worker works by, so that "drained" is said only when it is true everywhere. Control
/// thread only.
class Adoption {
 public:
  explicit Adoption(std::uint32_t workers) : adopted_(workers, 0) {}

  /// From the wiring, once a worker has swapped its Table.
  void adopted(std::uint32_t worker, std::uint64_t generation);

  /// Calls back once every worker works by that generation or a later one: at once when they do already.
  void when(std::uint64_t generation, std::function<void()> done);

  /// The oldest generation that a worker still works by.
  std::uint64_t everywhere() const;

 private:
  struct Waiting {
    std::uint64_t generation;
    std::function<void()> done;
  };
  std::vector<std::uint64_t> adopted_;
  std::vector<Waiting> waiting_;
};

}  // namespace weir
