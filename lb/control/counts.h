#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "lb/balance/backend.h"
#include "lb/balance/listener_load.h"
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

/// How sessions have ended on one page of an EndBook.
struct PageCounts {
  std::array<std::uint64_t, kEnds> by_end{};
  std::uint64_t retries = 0;
  TimeCounts queue_waits;

  PageCounts& operator+=(const PageCounts& other);
  PageCounts& operator-=(const PageCounts& other);
  friend bool operator==(const PageCounts&, const PageCounts&) = default;
};
using EndCounts = std::map<std::string, PageCounts, std::less<>>;  ///< by the name of the page

/// What else a backend has been counted for: for metrics.
struct Tally {
  EndCounts ends;  ///< by listener
  TimeCounts connects, first_bytes, probes;
  std::uint64_t probes_passed = 0, probes_failed = 0;
  AmountCounts<SpanBuckets> spans;
  AmountCounts<SizeBuckets> sizes;

  Tally& operator+=(const Tally& other);
  Tally& operator-=(const Tally& other);  ///< of what is a part of it
  friend bool operator==(const Tally&, const Tally&) = default;
};
/// The same of a listener in front of one pool.
struct ListenerTally {
  std::array<std::uint64_t, kEnds> turned_away{};
  EndCounts unserved;  ///< by pool

  ListenerTally& operator+=(const ListenerTally& other);
  ListenerTally& operator-=(const ListenerTally& other);
  friend bool operator==(const ListenerTally&, const ListenerTally&) = default;
};

/// Over all workers, and of other processes of this Weir. Any thread.
Tally tally_of(const BackendLoad& load);
ListenerTally tally_of(const ListenerLoad& load);
/// What another process has counted. Control thread.
void count_elsewhere(BackendLoad& load, const Tally& tally);
void count_elsewhere(ListenerLoad& load, const ListenerTally& tally);

/// What a process has counted and no other knows: an old one tells it the newest when it ends, so that no sum
/// falls. By names, for ids mean nothing in another process.
struct Counts {
  std::map<std::pair<std::string, std::string>, Totals> backends;          ///< by pool and name
  std::map<std::pair<std::string, std::string>, std::uint64_t> listeners;  ///< sessions, by listener and pool
  // The same, for metrics.
  std::map<std::pair<std::string, std::string>, Tally> tallies;
  std::map<std::pair<std::string, std::string>, ListenerTally> listener_tallies;

  // Sessions that there are now, in the same ways; not in a last word.
  std::map<std::pair<std::string, std::string>, std::uint64_t> active;
  std::map<std::pair<std::string, std::string>, std::uint64_t> listener_active;

  Counts& operator+=(const Counts& other);
  bool empty() const {
    return backends.empty() && listeners.empty() && tallies.empty() && listener_tallies.empty();
  }
  friend bool operator==(const Counts&, const Counts&) = default;
};

/// Sessions, by listener and the client's IP.
using SessionsByClient = std::map<std::pair<std::string, std::string>, std::uint32_t>;

/// Sessions, by pool, name and address.
using SessionsByBackend = std::map<std::tuple<std::string, std::string, std::string>, std::uint32_t>;

std::string format_counts(const Counts& counts);
Result<Counts> parse_counts(std::string_view text);

}  // namespace weir
