#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "lb/balance/listener_load.h"

namespace weir {

/// The counters of every listener that there has been, by listener and pool. They live as long as this:
/// sessions point to them.
class ListenerLoads {
 public:
  struct Sum {
    std::uint64_t active = 0;
    std::uint64_t total = 0;
    std::array<std::uint64_t, kEnds> turned_away{};  ///< by End
  };

  explicit ListenerLoads(std::uint32_t workers) : workers_(workers) {}

  /// Made at its first use.
  ListenerLoad& get(std::string_view listener, std::string_view pool);
  /// Of each listener, over all the pools it has had. Keys are borrowed.
  std::unordered_map<std::string_view, Sum> sums() const;
  Sum sum() const;
  const auto& all() const { return loads_; }

 private:
  std::uint32_t workers_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<ListenerLoad>, std::less<>> loads_;
};

std::uint64_t total_of(const ListenerLoad& load);

}  // namespace weir
