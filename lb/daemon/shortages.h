#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lb/control/registry.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"
#include "lb/observe/condition.h"
#include "lb/observe/events.h"
#include "lb/proxy/admission.h"

namespace weir {

/// Says when clients begin to be kept waiting because something is used up (max_connections, a listener's
/// own, descriptors, the places at a pool's backends), and when that has ended: once each, however many
/// clients there are. Control thread only.
class Shortages {
 public:
  /// How often it looks. A shortage that comes and goes between two looks is seen by who was refused in it.
  static constexpr Millis kStep{1'000};

  Shortages(Loop& loop, Registry& registry, Admission& admission, Events& events);
  void begin() { timer_.start(kStep); }
  /// Those that are, a line each.
  std::vector<std::string> in_force() const;

 private:
  struct Shortage {
    Condition condition;
    std::uint64_t refused = 0;  ///< when it was looked at last
    std::string what;
  };
  void look();
  void look_at_pools();
  void look_at(Shortage& shortage, bool used_up, std::uint64_t refused, const std::string& what,
               std::string_view effect = "new clients wait");

  Registry& registry_;
  Admission& admission_;
  Events& events_;
  Shortage process_;
  Shortage descriptors_;
  std::map<std::string, Shortage, std::less<>> listeners_;
  std::map<std::string, Shortage, std::less<>> pools_;
  Timer timer_;
};

}  // namespace weir
