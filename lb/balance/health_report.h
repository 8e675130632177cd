#pragma once

#include <cstdint>
#include <string>

#include "lb/balance/backend.h"

namespace weir {

/// What the checker has to say of one backend.
struct HealthReport {
  BackendId id = 0;
  std::uint64_t life = 0;  ///< Backend::life, of which this is said: void for any other
  Health health = Health::Unknown;
  std::string reason;         ///< a sentence for the operator
  bool on_trial = false;      ///< up, but for one session alone
  std::uint32_t against = 0;  ///< probe results in a row that speak against `health`
  /// False: the health is what it was, only the reason is new. Does nothing to a backend whose health is
  /// another one by now: then it was said before that was known.
  bool transition = true;
};

}  // namespace weir
