#include "lb/proxy/listener.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "lb/net/raw_calls.h"
#include "lb/net/socket.h"
#include "lb/proxy/worker.h"

namespace weir {
namespace {

/// Accepts of one turn: enough to empty a burst quickly, few enough that existing sessions do not wait for
/// it.
constexpr std::uint32_t kAcceptsPerTurn = 32;

/// The client has given up already, or its network has: accept(2) says to treat these like EAGAIN and try
/// the next. (Not EPERM, which accept(2) names too: a sandbox that forbids the call leaves the client where
/// it is.)
bool is_of_one_client(int error) {
  return error == ECONNABORTED || error == ECONNRESET || error == ETIMEDOUT || error == EPROTO ||
         error == ENOPROTOOPT || error == EOPNOTSUPP || error == ENETDOWN || error == ENETUNREACH ||
         error == EHOSTDOWN || error == EHOSTUNREACH || error == ENONET || error == EINTR;
}

}  // namespace

Listener::Listener(Worker& worker, std::uint32_t id, ListenerLoad& load, Fd fd, bool shared,
                   std::shared_ptr<const Pool> pool)
    : worker_(worker), id_(id), load_(load), fd_(std::move(fd)), pool_(std::move(pool)), shared_(shared) {}

bool Listener::set_pool(std::shared_ptr<const Pool> pool) {
  if (pool_ == pool) return false;
  pool_ = std::move(pool);
  return true;
}

void Listener::set_doorway(Doorway doorway, const Table& table) {
  doorway_ = std::move(doorway);
  // Those of routes that are no more stay for the sessions that may have taken them, or will.
  if (sessions == 0) route_pools_.clear();
  if (doorway_.door == nullptr) return;
  for (const RouteTo& route : doorway_.door->terms().routes) route_pools_.try_emplace(route.pool);
  take_route_pools(table);
}

bool Listener::take_route_pools(const Table& table) {
  bool changed = false;
  for (auto& [name, pool] : route_pools_) {
    auto newest = table.find(name);
    if (newest == nullptr || newest == pool) continue;
    pool = std::move(newest);
    changed = true;
  }
  return changed;
}

const std::shared_ptr<const Pool>& Listener::pool_of(const std::string& name) const {
  static const std::shared_ptr<const Pool> kNone;
  const auto found = route_pools_.find(name);
  return found != route_pools_.end() ? found->second : kNone;
}

std::uint32_t Listener::interest() const {
  return events::kReadable | (shared_ ? events::kExclusive : 0);
}

void Listener::open() {
  // One that another Listener, or another process, has shut stays so until it is told.
  shut_ = stays_shut_ = !is_listening(fd_.get());
  paused_ = true;
  if (!shut_) watch();
}

void Listener::watch() {
  const auto watched = worker_.loop().watch(fd_.get(), *this, interest());
  paused_ = !watched;
  if (!watched) {
    worker_.on_trouble({"accept", watched.error().code});
    worker_.retry_listeners_later();
  }
}

void Listener::on_events(std::uint32_t) {
  if (!fd_ || paused_) return;
  // Level-triggered: while clients come one at a time, the accept that would only find the queue empty is
  // spared. Two wake-ups in a row, or a burst before, mean that they queue.
  const bool queueing = last_burst_ > 1 || worker_.turn() == last_turn_ + 1;
  last_turn_ = worker_.turn();
  last_burst_ = accept_some(queueing ? kAcceptsPerTurn : 1);
}

std::uint32_t Listener::accept_some(std::uint32_t limit) {
  std::uint32_t accepted = 0;
  for (std::uint32_t tried = 0; tried < limit; ++tried) {
    const Accepted one = accept_one();
    if (one == Accepted::NoneWaiting) {
      blocked_ = false;
      if (closing_) end_close();
      return accepted;
    }
    if (one == Accepted::Blocked) {
      blocked_ = true;
      if (!closing_) pause();
      return accepted;
    }
    if (one == Accepted::One) ++accepted;
  }
  return accepted;
}

tl::expected<Permit, Refusal> Listener::admit() {
  Admission& admission = worker_.shared().admission;
  return closing_ ? admission.admit_beyond_limits(load_) : admission.admit(load_);
}

bool Listener::take_token() {
  const Rate& rate = doorway_.door->new_sessions();
  const auto now = worker_.loop().now();
  if (doorway_.book->new_sessions.take(rate, now)) return true;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(doorway_.book->new_sessions.wait(rate, now));
  worker_.resume_listeners_in(static_cast<std::uint64_t>(std::max<std::int64_t>(wait.count(), 1)));
  return false;
}

void Listener::give_back_token() {
  if (doorway_.door != nullptr) doorway_.book->new_sessions.give_back(doorway_.door->new_sessions());
}

void Listener::discount_accepted() {
  auto& accepted = load_.accepted[worker_.index()].value;
  accepted.store(accepted.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
}

Listener::Accepted Listener::accept_one() {
  const bool by_rate = takes_tokens();
  if (by_rate && !take_token()) return Accepted::Blocked;
  const Accepted result = accept_if_admitted();
  if (by_rate && result != Accepted::One) give_back_token();
  return result;
}

Listener::Accepted Listener::accept_if_admitted() {
  Admission& admission = worker_.shared().admission;
  std::uint64_t waits = admission.waits();
  auto permit = admit();
  if (!permit) {
    admission.wait();
    waits = admission.waits();
    permit = admit();
  }
  if (!permit) {
    if (permit.error() == Refusal::Descriptors) worker_.on_descriptors_short();
    return Accepted::Blocked;
  }
  union {
    sockaddr generic;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } address;
  socklen_t size = sizeof address;
  Fd client(raw::accept4(fd_.get(), &address.generic, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (client) {
    auto& accepted = load_.accepted[worker_.index()].value;
    accepted.store(accepted.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    worker_.start_session(*this, std::move(*permit), std::move(client), ClientAddress(&address.generic));
    return Accepted::One;
  }
  const int error = errno;
  permit->give_back_unused(waits);
  // It does not listen (any more): a worker that shares it was faster.
  if (error == EINVAL && closing_) return Accepted::NoneWaiting;
  if (error == EINVAL) {
    // Somebody else has shut it. If it is to be so, this worker will be told; else it is opened again.
    shut_ = true;
    if (!shared_) worker_.on_trouble({"accept", error});
    worker_.retry_listeners_later();
    return Accepted::Blocked;
  }
  if (error == EAGAIN) return Accepted::NoneWaiting;
  if (is_of_one_client(error)) return Accepted::Gone;
  worker_.on_trouble({"accept", error});
  worker_.retry_listeners_later();
  return Accepted::Blocked;
}

void Listener::pause() {
  if (paused_) return;
  paused_ = true;
  worker_.loop().unwatch(fd_.get());
}

void Listener::resume() {
  blocked_ = false;
  if (!paused_ || !fd_ || closing_ || stays_shut_) return;
  if (shut_) {
    if (auto again = listen_again(fd_.get()); !again) {
      worker_.on_trouble({"accept", again.error().code});
      return worker_.retry_listeners_later();
    }
    shut_ = false;
  }
  watch();
}

Fd Listener::release() {
  if (!paused_) worker_.loop().unwatch(fd_.get());
  refuse(false);
  paused_ = closing_ = shutting_ = false;
  return std::move(fd_);
}

void Listener::close() {
  if (!fd_) return;
  shutting_ = false;
  if (closing_) return;
  begin_close();
  if (!shut_) return;
  // Nobody is in its queue. Whoever else has it finds it as it was.
  if (auto again = listen_again(fd_.get()); !again) worker_.on_trouble({"accept", again.error().code});
}

void Listener::set_shut(bool shut) {
  if (!fd_ || (closing_ && !shutting_)) return;
  stays_shut_ = shut;
  if (shut) {
    if (shut_ || shutting_) return;
    shutting_ = true;
    return begin_close();
  }
  if (std::exchange(shutting_, false)) {
    closing_ = false;
    refuse(false);
  }
  resume();
}

void Listener::begin_close() {
  pause();
  closing_ = true;
  blocked_ = false;  // the limits that it was blocked by concern it no more
  // The kernel's queue dies with the socket: nobody who is in it may be lost, not even at the limit, and
  // clients who never stop coming must not keep the socket open.
  refuse(true);
}

void Listener::close_step() {
  if (has_work()) accept_some(kAcceptsPerTurn);
}

void Listener::end_close() {
  closing_ = false;
  if (std::exchange(shutting_, false)) {
    shut_ = true;
    stop_listening(fd_.get());
    return refuse(false);
  }
  // Taken back, it waits for the word of what becomes of it.
  if (!worker_.may_close(*this)) return;
  // The service manager may hold the socket too, and serve by it later.
  refuse(false);
  paused_ = false;
  fd_.reset();
  worker_.on_listener_closed(id_);
}

void Listener::refuse(bool refuse) {
  if (refuse != refusing_) refuse_new_clients(fd_.get(), refuse);
  refusing_ = refuse;
}

void Listener::leave() {
  if (!fd_) return;
  // Closing is not enough: the socket lives on elsewhere, and would go on waking this loop.
  pause();
  shutting_ = false;
  end_close();
}

}  // namespace weir
