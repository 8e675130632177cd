#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lb/base/address.h"
#include "lb/config/config.h"
#include "lb/control/standing.h"

namespace weir {

/// What is known of places, by (endpoint, probe), whatever the backends there are called: asked for every
/// backend that is new. Holds copies, so that those it was written from may go. Knows neither operators nor
/// pools' members. A command is told pool and backend (WEIR_POOL, WEIR_BACKEND): what it said holds for these
/// alone.
class HealthBook {
 public:
  HealthBook() = default;
  HealthBook(HealthBook&&) = default;

  /// What says nothing (an unknown health) is not kept. Of two notes on one place in one pool the newer one
  /// is.
  void note(const std::string& pool, const std::string& name, const Endpoint& endpoint,
            const ProbeConfig& probe, const Standing& standing);

  /// Null when nothing is known. What the same pool knew comes first, then the newest word.
  const Standing* find(std::string_view pool, std::string_view name, const Endpoint& endpoint,
                       const ProbeConfig& probe) const;

 private:
  struct Note {
    std::string pool;
    const ProbeConfig* probe;  ///< one of probes_
    Standing standing;
  };
  const ProbeConfig* keep(const ProbeConfig& probe);

  std::deque<ProbeConfig> probes_;
  std::unordered_map<std::string, std::vector<Note>> places_;  ///< by place_of()
};

}  // namespace weir
