#pragma once

#include <string>

#include "bench/load/clock.h"

namespace weir::load {

/// A wire between two network namespaces of this host, for kernels without netem: a tun device in each, and
/// this process between them.
struct WireOptions {
  std::string near, far;         ///< the namespaces' files, as /run/netns/NAME
  std::string device = "wire0";  ///< its name, in both
  Nanos delay = 0;               ///< of a round trip: what goes to the near end is held for so long
};

/// Says "wire" once both devices are there, which somebody else gives addresses; until SIGINT or SIGTERM.
/// Packets keep their order; what comes while kMostHeld are held is dropped. Needs root.
int run_wire(const WireOptions& options);

}  // namespace weir::load
