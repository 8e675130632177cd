#include "lb/proxy/listener.h"

#include <sys/socket.h>

#include <cerrno>

#include "lb/net/socket.h"
#include "lb/proxy/worker.h"

namespace weir {
namespace {

/// Accepts of one turn: enough to empty a burst quickly, few enough that existing sessions do not wait for
/// it.
constexpr std::uint32_t kAcceptsPerTurn = 32;
/// Accepts of a close: twice Linux's longest queue by default (net.core.somaxconn), so that clients who never
/// stop coming do not keep the socket open.
constexpr std::uint32_t kAcceptsOfClose = 8192;

/// The client has given up already, or its network has: accept(2) says to treat these like EAGAIN and try
/// the next.
bool is_of_one_client(int error) {
  return error == ECONNABORTED || error == ECONNRESET || error == ETIMEDOUT || error == EPERM ||
         error == EPROTO || error == ENOPROTOOPT || error == EOPNOTSUPP || error == ENETDOWN ||
         error == ENETUNREACH || error == EHOSTDOWN || error == EHOSTUNREACH || error == ENONET ||
         error == EINTR;
}

}  // namespace

Listener::Listener(Worker& worker, std::uint32_t id, ListenerLoad& load, Fd fd, bool shared)
    : worker_(worker), id_(id), load_(load), fd_(std::move(fd)), shared_(shared) {}

std::uint32_t Listener::interest() const {
  return events::kReadable | (shared_ ? events::kExclusive : 0);
}

void Listener::open() {
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
  const std::uint32_t limit = queueing ? kAcceptsPerTurn : 1;
  last_turn_ = worker_.turn();
  last_burst_ = 0;
  while (last_burst_ < limit && accept_one() == Accepted::One) ++last_burst_;
}

bool Listener::enter_gate() {
  const Gate::Entry entry = worker_.shared().gate.enter(load_);
  if (entry == Gate::Entry::GaveBack && worker_.shared().gate.take_waiting()) worker_.shared().wake_all();
  return entry == Gate::Entry::Counted;
}

Listener::Accepted Listener::accept_one(Limits limits) {
  Gate& gate = worker_.shared().gate;
  if (limits == Limits::Passed) {
    gate.enter_beyond_limits(load_);
  } else if (!enter_gate()) {
    gate.wait();
    if (!enter_gate()) {
      pause();
      return Accepted::Blocked;
    }
  }
  union {
    sockaddr generic;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } address;
  socklen_t size = sizeof address;
  Fd client(accept4(fd_.get(), &address.generic, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (client) {
    auto& accepted = load_.accepted[worker_.index()].value;
    accepted.store(accepted.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    worker_.start_session(*this, std::move(client), ClientAddress(&address.generic));
    return Accepted::One;
  }
  const int error = errno;
  gate.leave(load_);
  // The place was held in vain: somebody may have paused for it.
  if (gate.take_waiting()) worker_.shared().wake_all();
  if (error == EAGAIN) return Accepted::NoneWaiting;
  if (is_of_one_client(error)) return Accepted::One;
  worker_.on_trouble({"accept", error});
  worker_.retry_listeners_later();
  pause();
  return is_shortage(error) ? Accepted::Blocked : Accepted::Failed;
}

void Listener::pause() {
  if (paused_) return;
  paused_ = true;
  worker_.loop().unwatch(fd_.get());
}

void Listener::resume() {
  if (closing_)
    close();
  else if (paused_ && fd_)
    open();
}

Fd Listener::release() {
  if (!paused_) worker_.loop().unwatch(fd_.get());
  paused_ = closing_ = false;
  return std::move(fd_);
}

void Listener::close() {
  if (!fd_) return;
  pause();
  // The kernel's queue dies with the socket: nobody who is in it may be lost, not even at the limit.
  Accepted last = Accepted::One;
  for (; accepts_of_close_ < kAcceptsOfClose && last == Accepted::One; ++accepts_of_close_)
    last = accept_one(Limits::Passed);
  closing_ = last == Accepted::Blocked;
  if (closing_) return;
  paused_ = false;
  fd_.reset();
}

void Listener::leave() {
  if (!fd_) return;
  // Closing is not enough: the socket lives on elsewhere, and would go on waking this loop.
  if (!paused_) worker_.loop().unwatch(fd_.get());
  paused_ = closing_ = false;
  fd_.reset();
}

}  // namespace weir
