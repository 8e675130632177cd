#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lb/base/address.h"
#include "lb/base/state.h"
#include "lb/control/slow_start.h"

namespace weir {

/// What is known of a place where sessions can go: where its name leads, and what its probes have said. It
/// belongs to the place and its probe, not to a backend's name: a reload that renames a backend carries it
/// over, an upgrade hands it on. What an operator says is no part of it. A value.
struct Standing {
  std::vector<Address> resolved;   ///< what its name resolves to; empty for an address of the file's
  std::vector<Address> addresses;  ///< what is used of it; empty: nothing yet, or nothing that can be used
  std::string no_address;          ///< why nothing; empty while the name has not been answered
  std::string leads_back;          ///< an address of `resolved` that is not used, and whose it is
  Health health = Health::Unknown;
  std::uint32_t against = 0;  ///< probe results in a row that speak against `health`
  bool on_trial = false;
  std::string reason;                           ///< of `health`; empty before the first word
  std::chrono::system_clock::time_point since;  ///< when `health` became what it is
  std::uint64_t life = 0;                       ///< Backend::life

  /// It was down or in maintenance: the next time it is up for good, its share grows slowly.
  bool recovering = false;
  std::optional<SlowStart> slow_start;

  bool serves() const { return health == Health::Up && !addresses.empty(); }
};

}  // namespace weir
