#include "lb/listening.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>

#include "lb/base/log.h"
#include "lb/net/socket.h"

namespace weir {
namespace {

/// Of a listener on a unix path: whoever may enter its directory may connect, as with a TCP port.
constexpr std::uint32_t kUnixListenerMode = 0666;

bool overlap(const Address& a, const Address& b) {
  return a.family() == b.family() && a.port() == b.port() && (a.is_wildcard() || b.is_wildcard());
}

}  // namespace

void Listening::remove_path(const Bound& bound) {
  if (bound.address.is_unix() && bound.removes_path) ::unlink(std::string(bound.address.path()).c_str());
}

Listening::~Listening() {
  for (const Bound& bound : open_) remove_path(bound);
  for (const Bound& bound : prepared_) remove_path(bound);
}

void Listening::own_paths() {
  for (Bound& bound : open_) bound.removes_path = !bound.held_outside;
}

bool Listening::held_outside(const Address& address) const {
  return std::any_of(open_.begin(), open_.end(),
                     [&](const Bound& bound) { return bound.held_outside && bound.address == address; });
}

void Listening::take_inherited(Bound& bound) {
  for (InheritedSocket& socket : inherited_) {
    if (!(socket.address == bound.address)) continue;
    bound.sockets.push_back(std::move(socket.fd));
    bound.removes_path = false;
    bound.held_outside = bound.held_outside || socket.held_outside;
  }
  std::erase_if(inherited_, [](const InheritedSocket& socket) { return !socket.fd; });
}

Result<Listening::Bound> Listening::bind(const ListenerConfig& listener, const Address& address) {
  Bound bound{next_id_, address, listener.name, listener.pool, {}};
  // An address that overlaps one of our own joins it: it is ours already, and the claim would be refused.
  const bool ours = std::any_of(open_.begin(), open_.end(),
                                [&](const Bound& open) { return overlap(open.address, address); }) ||
                    std::any_of(inherited_.begin(), inherited_.end(), [&](const InheritedSocket& socket) {
                      return overlap(socket.address, address);
                    });
  take_inherited(bound);
  const std::size_t inherited = bound.sockets.size();
  for (std::size_t i = inherited; i < (address.is_unix() ? 1 : workers_); ++i) {
    auto fd =
        address.is_unix() ? listen_unix(address, kUnixListenerMode) : listen_tcp(address, i == 0 && !ours);
    // A socket of the service manager's may not be open to joining: then the workers share it.
    if (!fd && inherited > 0) break;
    if (!fd) return fail(fmt::format("listener {}: {}", listener.name, fd.error().message));
    bound.sockets.push_back(std::move(*fd));
  }
  return bound;
}

Result<void> Listening::prepare(const Config& config) {
  prepared_.clear();
  for (const ListenerConfig& listener : config.listeners) {
    for (const Address& address : listener.bind) {
      if (std::any_of(open_.begin(), open_.end(), [&](const Bound& open) { return open.address == address; }))
        continue;
      auto bound = bind(listener, address);
      if (!bound) {
        for (const Bound& undone : prepared_) remove_path(undone);
        prepared_.clear();
        return tl::unexpected(bound.error());
      }
      ++next_id_;
      prepared_.push_back(std::move(*bound));
    }
  }
  return {};
}

/// Every worker gets at least one socket, and every socket at least one worker: with fewer sockets than
/// workers they are shared, and with more (an earlier process had more workers) a worker has several, since
/// clients wait in the queue of each.
void Listening::hand_over(Bound& bound, ListenerLoad& load, Fleet& fleet) const {
  const std::size_t sockets = bound.sockets.size();
  const bool shared = sockets < fleet.size();
  const std::size_t places = std::max(sockets, fleet.size());
  for (std::size_t i = 0; i < places; ++i) {
    Fd& own = bound.sockets[i % sockets];
    const bool last = i + sockets >= places;
    auto fd = std::make_shared<Fd>(last ? std::move(own) : Fd(fcntl(own.get(), F_DUPFD_CLOEXEC, 3)));
    Worker& worker = fleet.worker(i % fleet.size());
    worker.post([&worker, id = bound.id, &load, fd, shared] {
      worker.add_listener(id, load, std::move(*fd), shared);
    });
  }
  bound.sockets.clear();
}

void Listening::commit(const Config& config, Registry& registry, Fleet& fleet) {
  std::vector<Bound> before = std::move(open_);
  open_.clear();
  for (const ListenerConfig& listener : config.listeners) {
    ListenerLoad& load = registry.listener_load(listener.name, listener.pool);
    load.max_connections = listener.max_connections;
    for (const Address& address : listener.bind) {
      const auto same = [&](const Bound& bound) { return bound.address == address; };
      if (auto fresh = std::find_if(prepared_.begin(), prepared_.end(), same); fresh != prepared_.end()) {
        hand_over(*fresh, load, fleet);
        open_.push_back(std::move(*fresh));
        prepared_.erase(fresh);
        continue;
      }
      auto kept = std::find_if(before.begin(), before.end(), same);
      WEIR_CHECK(kept != before.end());
      if (kept->listener != listener.name || kept->pool != listener.pool) {
        kept->listener = listener.name;
        kept->pool = listener.pool;
        for (std::size_t i = 0; i < fleet.size(); ++i)
          fleet.worker(i).post(
              [&worker = fleet.worker(i), id = kept->id, &load] { worker.move_listener(id, load); });
      }
      open_.push_back(std::move(*kept));
      before.erase(kept);
    }
  }
  for (const Bound& gone : before) {
    remove_path(gone);
    for (std::size_t i = 0; i < fleet.size(); ++i)
      fleet.worker(i).post([&worker = fleet.worker(i), id = gone.id] { worker.close_listener(id); });
  }
  // A limit may have been raised.
  fleet.resume_listeners();
}

void Listening::give_up(const std::vector<std::string>& unused, Fleet& fleet) {
  for (Bound& bound : open_) {
    if (std::find(unused.begin(), unused.end(), bound.address.to_string()) != unused.end()) {
      remove_path(bound);
      for (std::size_t i = 0; i < fleet.size(); ++i)
        fleet.worker(i).post([&worker = fleet.worker(i), id = bound.id] { worker.close_listener(id); });
    } else {
      fleet.leave_listener(bound.id);
    }
  }
  open_.clear();
}

}  // namespace weir
