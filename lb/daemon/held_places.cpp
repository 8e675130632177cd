#include "lb/daemon/held_places.h"

namespace weir {

void HeldPlaces::set(const SessionsByClient& sessions) {
  sessions_ = sessions;
  std::erase_if(held_, [&](const auto& item) { return !sessions.contains(item.first); });
  for (const auto& [key, count] : sessions) {
    const Doorway doorway = doors_.find(key.first);
    const auto client = ClientAddress::parse_ip(key.second);
    if (doorway.door == nullptr || !client || !doorway.door->limits(*client)) {
      held_.erase(key);
      continue;
    }
    const ClientLimit& limit = doorway.door->client_limit();
    Held& held = held_[key];
    if (held.book != doorway.book || held.prefix_bits != limit.prefix_bits) {
      held.places.clear();
      held.book = doorway.book;
      held.prefix_bits = limit.prefix_bits;
    }
    while (held.places.size() > count) held.places.pop_back();
    while (held.places.size() < count) {
      ClientPlace place = held.book->clients->hold(*client, limit);
      if (!place) break;
      held.places.push_back(std::move(place));
    }
  }
}

}  // namespace weir
