#include "lb/daemon/doors.h"

#include <algorithm>
#include <random>

namespace weir {
namespace {

HashKey draw_key() {
  std::random_device device;
  const auto word = [&device] { return (std::uint64_t{device()} << 32U) | device(); };
  return {word(), word()};
}

}  // namespace

Doors::Doors(std::uint64_t most_sessions)
    : most_sessions_(
          static_cast<std::uint32_t>(std::min<std::uint64_t>(most_sessions, ClientLimits::kMaxSessions))),
      key_(draw_key()) {}

Doorway Doors::take(const ListenerConfig& listener) {
  Entry& entry = entries_[listener.name];
  Doorway& doorway = entry.doorway;
  if (doorway.book != nullptr && entry.terms == listener.door) return doorway;
  entry.terms = listener.door;
  doorway.door = Door::make(entry.terms);
  if (doorway.book == nullptr) doorway.book = std::make_shared<DoorBook>();
  if (doorway.door != nullptr && doorway.door->limits_clients() && doorway.book->clients == nullptr)
    doorway.book->clients = std::make_unique<ClientLimits>(most_sessions_, ClientLimits::kMaxIdle, key_);
  return doorway;
}

Doorway Doors::find(std::string_view listener) const {
  const auto found = entries_.find(listener);
  return found != entries_.end() ? found->second.doorway : Doorway();
}

}  // namespace weir
