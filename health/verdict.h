#pragma once

#include <cstdint>

#include "lb/base/state.h"

namespace weir {

/// What a backend's probe results add up to. Pure: no clock, no I/O, no text. Only consecutive results count:
/// `fall` failures in a row take an up backend down, `rise` passes in a row bring a down one up, and an
/// opposite result starts the count again. While nothing is known, the first result alone decides.
class Verdict {
 public:
  /// `known`, and the results in a row that speak against it: a count that somebody else began goes on.
  Verdict(std::uint32_t rise, std::uint32_t fall, Health known = Health::Unknown, std::uint32_t against = 0)
      : rise_(rise), fall_(fall), against_(known == Health::Unknown ? 0 : against), health_(known) {}

  /// Takes one result. True when `health` has changed.
  bool add(bool passed);

  Health health() const { return health_; }
  /// Results in a row that speak against `health`.
  std::uint32_t against() const { return against_; }
  /// How many of them it takes; meaningless while unknown.
  std::uint32_t needed() const { return health_ == Health::Up ? fall_ : rise_; }

 private:
  bool become(Health health);

  std::uint32_t rise_;
  std::uint32_t fall_;
  std::uint32_t against_;
  Health health_;
};

}  // namespace weir
