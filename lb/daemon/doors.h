#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "lb/admit/doorway.h"
#include "lb/config/config.h"

namespace weir {

/// What each listener asks of its clients, and what has been counted there, by the listener's name: the book
/// stays through reloads, whatever pool the listener moves to. Control thread only.
class Doors {
 public:
  /// `most_sessions`: that this process can ever have.
  explicit Doors(std::uint64_t most_sessions);

  /// By these terms from now on. The same Door again while they do not change.
  Doorway take(const ListenerConfig& listener);
  /// Of a listener in its last terms; null when everybody comes in.
  Doorway find(std::string_view listener) const;

 private:
  struct Entry {
    DoorTerms terms;
    Doorway doorway;
  };
  std::uint32_t most_sessions_;
  HashKey key_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace weir
