#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lb/control/counts.h"
#include "lb/daemon/doors.h"

namespace weir {

/// Places among the sessions of their clients for those that older processes of this Weir still have: a
/// client that has its sessions_per_client there gets none here. Control thread only.
class HeldPlaces {
 public:
  explicit HeldPlaces(const Doors& doors) : doors_(doors) {}

  /// So many there are, by listener and client; by the terms that are in force now.
  void set(const SessionsByClient& sessions);
  /// What was said last.
  const SessionsByClient& sessions() const { return sessions_; }

 private:
  struct Held {
    std::shared_ptr<DoorBook> book;  // outlives its places
    std::array<std::uint8_t, 2> prefix_bits{};
    std::vector<ClientPlace> places;
  };

  const Doors& doors_;
  SessionsByClient sessions_;
  std::map<std::pair<std::string, std::string>, Held> held_;
};

}  // namespace weir
