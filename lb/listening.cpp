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

Listening::~Listening() {
  for (const Bound& bound : open_)
    if (bound.address.is_unix()) ::unlink(std::string(bound.address.path()).c_str());
  for (const Bound& bound : prepared_)
    if (bound.address.is_unix()) ::unlink(std::string(bound.address.path()).c_str());
}

Result<Listening::Bound> Listening::bind(const ListenerConfig& listener, const Address& address) const {
  Bound bound{next_id_, address, listener.name, listener.pool, {}};
  // An address that overlaps one of our own joins it: it is ours already, and the claim would be refused.
  const bool ours = std::any_of(open_.begin(), open_.end(),
                                [&](const Bound& open) { return overlap(open.address, address); });
  for (std::uint32_t i = 0; i < (address.is_unix() ? 1 : workers_); ++i) {
    auto fd =
        address.is_unix() ? listen_unix(address, kUnixListenerMode) : listen_tcp(address, i == 0 && !ours);
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
        for (const Bound& undone : prepared_)
          if (undone.address.is_unix()) ::unlink(std::string(undone.address.path()).c_str());
        prepared_.clear();
        return tl::unexpected(bound.error());
      }
      ++next_id_;
      prepared_.push_back(std::move(*bound));
    }
  }
  return {};
}

void Listening::hand_over(Bound& bound, ListenerLoad& load, Fleet& fleet) const {
  const bool shared = bound.sockets.size() < fleet.size();
  for (std::size_t i = 0; i < fleet.size(); ++i) {
    Fd& own = bound.sockets[shared ? 0 : i];
    const bool last = !shared || i + 1 == fleet.size();
    auto fd = std::make_shared<Fd>(last ? std::move(own) : Fd(fcntl(own.get(), F_DUPFD_CLOEXEC, 3)));
    fleet.worker(i).post([&worker = fleet.worker(i), id = bound.id, &load, fd, shared] {
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
    if (gone.address.is_unix()) ::unlink(std::string(gone.address.path()).c_str());
    for (std::size_t i = 0; i < fleet.size(); ++i)
      fleet.worker(i).post([&worker = fleet.worker(i), id = gone.id] { worker.close_listener(id); });
  }
  // A limit may have been raised.
  fleet.resume_listeners();
}

}  // namespace weir
