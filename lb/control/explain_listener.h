#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lb/admit/doorway.h"
#include "lb/control/commands.h"
#include "lb/control/registry.h"
#include "lb/control/status.h"

namespace weir {

/// A client that might come to a listener.
struct Caller {
  std::string client;             ///< its IP, or "unix"; behind a PROXY header the one that is announced
  std::string peer;               ///< the IP, or "unix", of whoever announces it; "" = not said
  std::string server_name;        ///< that it asks for; "" = none
  std::vector<std::string> alpn;  ///< protocols that it offers
};

/// What would become of it: which rule, limit, route, pool and backend, step by step. Takes nothing.
/// `doorway`: the listener's. `is_shut`: the kernel refuses its connections, by when_down. Control thread.
CommandResult<Explanation> explain_listener(const Registry& registry, const std::string& listener,
                                            const Doorway& doorway, bool is_shut, const Caller& caller);

}  // namespace weir
