// How the sockets of a Change are come by.
#include <fcntl.h>
#include <sys/stat.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>

#include "lb/base/log.h"
#include "lb/daemon/listening_record.h"
#include "lb/net/socket.h"

namespace weir {
namespace {

/// Of a listener on a unix path: whoever may enter its directory may connect, as with a TCP port.
constexpr std::uint32_t kUnixListenerMode = 0666;

bool overlap(const Address& a, const Address& b) {
  return a == b || (a.family() == b.family() && a.port() == b.port() && (a.is_wildcard() || b.is_wildcard()));
}

Result<Fd> duplicate(int fd) {
  Fd copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail_errno("a listening socket for each worker", errno);
  return copy;
}

UnixAccess access_of(const ListenerConfig& listener) {
  return {listener.mode.value_or(kUnixListenerMode), listener.owner, listener.group};
}

tl::unexpected<Error> fail_for(const ListenerConfig& listener, const Error& error) {
  return tl::unexpected(Error{fmt::format("listener {}: {}", listener.name, error.message), error.code});
}

}  // namespace

Result<Listening::Change> Listening::plan(const Config& config) {
  WEIR_CHECK(!planning_);
  std::vector<std::uint32_t> made;
  for (const ListenerConfig& listener : config.listeners)
    for (const Address& address : listener.bind)
      if (auto planned = plan_address(listener, address, made); !planned) {
        undo(made);
        return fail_for(listener, planned.error());
      }
  planning_ = true;
  return Change(*this, config.listeners, std::move(made));
}

Result<void> Listening::plan_address(const ListenerConfig& listener, const Address& address,
                                     std::vector<std::uint32_t>& made) {
  if (Record* const held = find(address)) {
    if (!held->path.lost() || held->held_outside) return {};
    // Somebody has removed its file: another takes its place, which may get the file's very number, and this
    // one serves its queue out.
    held->path.set_owned(false);
  }
  const auto taken_back = take_back(listener, address, made);
  if (!taken_back) return tl::unexpected(taken_back.error());
  if (*taken_back) return {};
  auto record = std::make_unique<Record>(next_id_, address, listener, workers_);
  if (auto bound = bind(*record, listener); !bound) return bound;
  ++next_id_;
  made.push_back(record->id);
  records_.push_back(std::move(record));
  return {};
}

/// A socket that is closing and has no file keeps its place in the kernel, and its queue, on every worker
/// that has not closed it. Of a TCP socket the others join; an abstract unix socket cannot be joined, and
/// those who have it serve it. (The path of a unix socket has gone already, and one that is held outside is
/// not lost when it is closed here: both are had anew.)
Result<bool> Listening::take_back(const ListenerConfig& listener, const Address& address,
                                  std::vector<std::uint32_t>& made) {
  const auto found = std::find_if(records_.begin(), records_.end(), [&](const auto& record) {
    return record->state == Record::State::Closing && record->address == address && !address.has_file() &&
           !record->held_outside;
  });
  if (found == records_.end()) return false;
  Record& record = **found;
  for (std::size_t worker = 0; worker < workers_; ++worker) {
    Record::Order& order = record.orders[worker];
    if (order.number == 0 || !order.order->take_back()) continue;
    order = {};
    record.kept.push_back(worker);
  }
  if (record.kept.empty()) return false;
  record.state = Record::State::Planned;
  record.listener = listener.name;
  record.pool = listener.pool;
  made.push_back(record.id);
  for (std::size_t worker = 0; worker < workers_ && !address.is_unix(); ++worker) {
    if (std::find(record.kept.begin(), record.kept.end(), worker) != record.kept.end()) continue;
    auto fd = listen_tcp(address, false);
    if (!fd) return tl::unexpected(fd.error());
    record.identities.push_back(socket_identity(fd->get()));
    record.parts.push_back({worker, std::move(*fd), false});
  }
  return true;
}

/// Of sockets that are ours, or are being closed: one more joins them, and the claim of a first one would be
/// refused.
bool Listening::is_ours(const Address& address) const {
  return std::ranges::any_of(records_,
                             [&](const auto& record) { return overlap(record->address, address); }) ||
         std::ranges::any_of(inherited_,
                             [&](const auto& socket) { return overlap(socket.address, address); });
}

Result<void> Listening::bind(Record& record, const ListenerConfig& listener) {
  const Address& address = record.address;
  std::vector<Fd> sockets;
  for (const InheritedSocket& socket : inherited_) {
    if (!(socket.address == address)) continue;
    auto copy = duplicate(socket.fd.get());
    if (!copy) return tl::unexpected(copy.error());
    sockets.push_back(std::move(*copy));
    record.held_outside = record.held_outside || socket.held_outside;
    if (socket.shut) record.shut.reset();
  }
  const std::size_t inherited = sockets.size();
  const bool ours = is_ours(address);
  // One that is shut could not listen again beside others that have been bound meanwhile.
  const std::size_t wanted = address.is_unix() ? 1 : (record.shut ? workers_ : inherited);
  for (std::size_t i = inherited; i < wanted; ++i) {
    auto fd =
        address.is_unix() ? listen_unix(address, access_of(listener)) : listen_tcp(address, i == 0 && !ours);
    // A socket of the service manager's may not be open to joining: then the workers share it.
    if (!fd && inherited > 0) break;
    if (!fd) return tl::unexpected(fd.error());
    sockets.push_back(std::move(*fd));
  }
  record.path = SocketPath(address);
  // The process that handed it over, or the service manager, removes it.
  record.path.set_owned(inherited == 0);
  return share_out(record, std::move(sockets));
}

/// Every worker gets at least one socket, and every socket at least one worker: with fewer sockets than
/// workers they are shared, and with more (an earlier process had more workers) a worker has several, since
/// clients wait in the queue of each.
Result<void> Listening::share_out(Record& record, std::vector<Fd> sockets) const {
  for (const Fd& socket : sockets) record.identities.push_back(socket_identity(socket.get()));
  const std::size_t places = std::max<std::size_t>(sockets.size(), workers_);
  for (std::size_t i = 0; i < places; ++i) {
    Fd& own = sockets[i % sockets.size()];
    auto fd = i + sockets.size() >= places ? Result<Fd>(std::move(own)) : duplicate(own.get());
    if (!fd) return tl::unexpected(fd.error());
    record.parts.push_back({i % workers_, std::move(*fd), sockets.size() < workers_});
  }
  return {};
}

void Listening::undo(const std::vector<std::uint32_t>& made) {
  for (const std::uint32_t id : made) {
    const auto found =
        std::find_if(records_.begin(), records_.end(), [&](const auto& record) { return record->id == id; });
    Record& record = **found;
    if (record.kept.empty()) {
      records_.erase(found);
      continue;
    }
    record.parts.clear();
    record.state = Record::State::Closing;
    for (const std::size_t worker : std::exchange(record.kept, {})) order_close(record, worker, *fleet_);
  }
}

void Listening::keep_access(const ListenerConfig& listener, const Record& record) {
  struct stat now {};
  const std::string path(record.address.path());
  if (path.empty() || record.held_outside || (!listener.mode && !listener.owner && !listener.group)) return;
  if (::stat(path.c_str(), &now) != 0 || record.path.lost()) return;
  const UnixAccess wanted{listener.mode.value_or(now.st_mode & 07777U), listener.owner, listener.group};
  if (wanted.mode == (now.st_mode & 07777U) && wanted.owner.value_or(now.st_uid) == now.st_uid &&
      wanted.group.value_or(now.st_gid) == now.st_gid)
    return;
  if (const auto set = set_access(path, wanted); !set)
    daemon_log().error("listener {}: {}", listener.name, set.error().message);
}

std::vector<Address> Listening::settle_inherited() {
  std::vector<Address> unused;
  for (const InheritedSocket& socket : inherited_)
    if (find(socket.address) == nullptr && std::ranges::find(unused, socket.address) == unused.end())
      unused.push_back(socket.address);
  std::erase_if(inherited_, [](const InheritedSocket& socket) { return !socket.held_outside; });
  return unused;
}

bool Listening::is_held_outside(std::uint64_t identity) const {
  return std::ranges::any_of(inherited_, [&](const InheritedSocket& socket) {
    return socket.held_outside && socket_identity(socket.fd.get()) == identity;
  });
}

}  // namespace weir
