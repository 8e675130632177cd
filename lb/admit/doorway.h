#pragma once

#include <cstdint>
#include <memory>

#include "lb/admit/client_limits.h"
#include "lb/admit/door.h"
#include "lb/admit/rate.h"

namespace weir {

/// What is counted at one listener's Door, over all workers and through reloads. Any thread.
struct DoorBook {
  std::unique_ptr<ClientLimits> clients;  ///< made with the first limit, before workers hear of it
  TokenBucket new_sessions;
};

/// A listener's Door and its book; both null: everybody comes in, to the listener's own pool.
struct Doorway {
  std::shared_ptr<const Door> door;
  std::shared_ptr<DoorBook> book;
};

}  // namespace weir
