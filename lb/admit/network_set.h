#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "lb/admit/network.h"

namespace weir {

/// Which of many networks is the longest that contains a client. Built once, then only read: by any number of
/// threads. Building costs O(n log n); 100,000 networks take some 5 MiB.
///
/// Networks either lie within each other or apart, so they cut the line of addresses into at most 2n + 1
/// ranges that have one answer each: a look-up is one binary search, over IPv4 addresses of 4 bytes or IPv6
/// ones of 16.
class NetworkSet {
 public:
  NetworkSet() = default;
  explicit NetworkSet(std::span<const Network> networks);

  /// Its place in the list; of several equal ones the first.
  std::optional<std::uint32_t> find(const ClientAddress& client) const;
  bool contains(const ClientAddress& client) const { return find(client).has_value(); }
  bool empty() const { return v4_.winners.empty() && v6_.winners.empty() && unix_ == kNone; }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  __extension__ using V6Key = unsigned __int128;
  /// Each range goes from its start to the next one's. No ranges: nobody is in. Else the first starts at the
  /// first address there is.
  template <class Key>
  struct Ranges {
    std::vector<std::vector<Key>>
        levels;  ///< the first has every start, each next one every kFan-th of those
    std::vector<std::uint32_t> winners;
  };
  static constexpr std::size_t kFan = 16;

  template <class Key>
  static Ranges<Key> cut(std::span<const Network> networks);
  template <class Key>
  static std::uint32_t winner_of(const Ranges<Key>& ranges, Key key);

  Ranges<std::uint32_t> v4_;
  Ranges<V6Key> v6_;
  std::uint32_t unix_ = kNone;
};

}  // namespace weir
