#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lb/admit/doorway.h"
#include "lb/balance/session_info.h"
#include "lb/config/config.h"

namespace weir {

/// What each listener asks of its clients, and what has been counted there, by the listener's name: the book
/// stays through reloads, whatever pool the listener moves to. Control thread only.
class Doors {
 public:
  /// `most_sessions`: that this process can ever have. `inherited`: what the Doors of the process before said
  /// (to_bytes); "" = there was none. What is not understood is as if it had not been said.
  explicit Doors(std::uint64_t most_sessions, std::string_view inherited = "");

  /// By these terms from now on. The same Door again while they do not change.
  Doorway take(const ListenerConfig& listener);
  /// Of a listener in its last terms; null when everybody comes in.
  Doorway find(std::string_view listener) const;
  /// Those of all listeners, in their last terms.
  DoorsByListener in_force() const;
  /// The tokens that are not there at `now`, of listeners and of their clients, for the process that follows:
  /// nobody has new ones because of an upgrade. A secret, as it holds the key.
  std::string to_bytes(Rate::Time now) const;
  /// A listener limits how many sessions a client may have.
  bool any_client_limit() const;

 private:
  struct Entry {
    DoorTerms terms;
    Doorway doorway;
  };
  /// What a listener's book begins with.
  struct Spent {
    Rate::Time new_sessions_full_at{0};
    std::uint64_t table_size = 0;  ///< that of `clients`, who mean nothing to one of another size
    std::vector<ClientLimits::Spent> clients;
  };
  std::uint32_t most_sessions_;
  HashKey key_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, Spent, std::less<>> inherited_;
};

}  // namespace weir
