#pragma once

#include <optional>
#include <string>

#include "lb/admit/client_limits.h"
#include "lb/base/address.h"
#include "lb/base/duration.h"

namespace weir {

/// What is known of a session beside its client's address and its backend. Only sessions of which there is
/// something have one.
struct Facts {
  std::optional<ClientAddress> peer;         ///< the connection's own, when a PROXY header announced a client
  std::optional<ClientAddress> destination;  ///< what that client had connected to
  std::string tlvs;                          ///< that came with it; gone once a backend has been told
  std::string sni;                           ///< the name it asked for, as sent
  std::string pool;                          ///< of the route it took; "" = its listener's own
  std::string tried;                         ///< backends that failed before, separated by commas
  std::string why;                           ///< it was not let in
  std::optional<Millis> queued;              ///< how long it has waited for room; nothing: it has not
  ClientPlace place;                         ///< in the count of its client's sessions
};

}  // namespace weir
