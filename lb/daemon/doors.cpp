#include "lb/daemon/doors.h"

#include <algorithm>
#include <random>

#include "lb/base/packed.h"

namespace weir {
namespace {

constexpr std::string_view kForm = "weir-tokens-1\n";

HashKey draw_key() {
  std::random_device device;
  const auto word = [&device] { return (std::uint64_t{device()} << 32U) | device(); };
  return {word(), word()};
}

}  // namespace

Doors::Doors(std::uint64_t most_sessions, std::string_view inherited)
    : most_sessions_(
          static_cast<std::uint32_t>(std::min<std::uint64_t>(most_sessions, ClientLimits::kMaxSessions))),
      key_(draw_key()) {
  PackedReader from(inherited, kForm);
  HashKey key{};
  for (std::uint64_t& word : key) word = from.number();
  std::map<std::string, Spent, std::less<>> listeners;
  while (from.number(1) == 1) {
    Spent& spent = listeners[from.text()];
    constexpr auto kMostTime = static_cast<std::uint64_t>(Rate::Time::max().count());
    spent.new_sessions_full_at = Rate::Time(static_cast<std::int64_t>(from.number(kMostTime)));
    spent.table_size = from.number();
    for (auto left = from.number(); left > 0 && from.good(); --left) {
      auto& client = spent.clients.emplace_back();
      client.place = from.number();
      client.who = from.number();
      client.full_at = from.number(kMostTime);
    }
  }
  if (!from.good()) return;
  key_ = key;
  inherited_ = std::move(listeners);
}

Doorway Doors::take(const ListenerConfig& listener) {
  Entry& entry = entries_[listener.name];
  Doorway& doorway = entry.doorway;
  if (doorway.book != nullptr && entry.terms == listener.door) return doorway;
  entry.terms = listener.door;
  doorway.door = Door::make(entry.terms);
  if (doorway.book == nullptr) doorway.book = std::make_shared<DoorBook>();
  if (doorway.door != nullptr && doorway.door->limits_clients() && doorway.book->clients == nullptr)
    doorway.book->clients = std::make_unique<ClientLimits>(most_sessions_, ClientLimits::kMaxIdle, key_);
  if (const auto before = inherited_.find(listener.name); before != inherited_.end()) {
    const Spent spent = std::move(before->second);
    inherited_.erase(before);
    doorway.book->new_sessions.fill_at(spent.new_sessions_full_at);
    if (auto& clients = doorway.book->clients; clients != nullptr && clients->size() == spent.table_size)
      clients->spend(spent.clients);
  }
  return doorway;
}

std::string Doors::to_bytes(Rate::Time now) const {
  PackedWriter out(kForm);
  for (const std::uint64_t word : key_) out.number(word);
  for (const auto& [name, entry] : entries_) {
    const auto& book = entry.doorway.book;
    const bool limits_clients = book->clients != nullptr;
    const auto spent = limits_clients ? book->clients->spent(now) : std::vector<ClientLimits::Spent>();
    out.number(1);
    out.text(name);
    out.number(static_cast<std::uint64_t>(std::max(book->new_sessions.full_at(), Rate::Time{0}).count()));
    out.number(limits_clients ? book->clients->size() : 0);
    out.number(spent.size());
    for (const auto& client : spent) {
      out.number(client.place);
      out.number(client.who);
      out.number(client.full_at);
    }
  }
  out.number(0);
  return out.take();
}

Doorway Doors::find(std::string_view listener) const {
  const auto found = entries_.find(listener);
  return found != entries_.end() ? found->second.doorway : Doorway();
}

DoorsByListener Doors::in_force() const {
  DoorsByListener out;
  for (const auto& [name, entry] : entries_) out[name] = entry.doorway.door;
  return out;
}

bool Doors::any_client_limit() const {
  return std::ranges::any_of(entries_, [](const auto& item) {
    const auto& door = item.second.doorway.door;
    return door != nullptr && door->client_limit().sessions > 0;
  });
}

}  // namespace weir
