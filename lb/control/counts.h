#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "lb/base/error.h"

namespace weir {

/// What a backend has been counted for, over all workers.
struct Totals {
  std::uint64_t sessions = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t bytes_to_backend = 0;
  std::uint64_t bytes_to_client = 0;

  Totals& operator+=(const Totals& other);
  Totals& operator-=(const Totals& other);  ///< of what is a part of it
  friend bool operator==(const Totals&, const Totals&) = default;
};

/// What a process has counted and no other knows: an old one tells it the newest when it ends, so that no sum
/// falls. By names, for ids mean nothing in another process.
struct Counts {
  std::map<std::pair<std::string, std::string>, Totals> backends;          ///< by pool and name
  std::map<std::pair<std::string, std::string>, std::uint64_t> listeners;  ///< sessions, by listener and pool

  bool empty() const { return backends.empty() && listeners.empty(); }
  friend bool operator==(const Counts&, const Counts&) = default;
};

/// Sessions, by pool, name and address.
using SessionsByBackend = std::map<std::tuple<std::string, std::string, std::string>, std::uint32_t>;

std::string format_counts(const Counts& counts);
Result<Counts> parse_counts(std::string_view text);

}  // namespace weir
