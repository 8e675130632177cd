#include "lb/net/acceptor.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "lb/net/socket.h"

namespace weir {

Acceptor::Acceptor(Loop& loop, Fd listening, Accepted accepted)
    : loop_(loop), listening_(std::move(listening)), accepted_(std::move(accepted)), pause_(loop, [this] {
        fill_reserve();
        if (!loop_.watch(listening_.get(), *this, events::kReadable)) pause_.start(kPause);
      }) {}

Result<std::unique_ptr<Acceptor>> Acceptor::create(Loop& loop, Fd listening, Accepted accepted) {
  if (::fcntl(listening.get(), F_SETFL, ::fcntl(listening.get(), F_GETFL) | O_NONBLOCK) != 0)
    return fail_errno("a listening socket cannot be made non-blocking", errno);
  std::unique_ptr<Acceptor> acceptor(new Acceptor(loop, std::move(listening), std::move(accepted)));
  acceptor->fill_reserve();
  if (auto watched = loop.watch(acceptor->listening(), *acceptor, events::kReadable); !watched)
    return tl::unexpected(watched.error());
  return acceptor;
}

void Acceptor::stop() {
  if (!listening_) return;
  // Another process may share the socket: closing it would not take it out of the loop's set.
  if (!pause_.active()) loop_.unwatch(listening_.get());
  pause_.stop();
  reserve_.clear();
  listening_.reset();
}

void Acceptor::fill_reserve() {
  while (listening_ && reserve_.size() < kReserve) {
    Fd fd(::fcntl(listening_.get(), F_DUPFD_CLOEXEC, 0));
    if (!fd) return;
    reserve_.push_back(std::move(fd));
  }
}

void Acceptor::pause() {
  loop_.unwatch(listening_.get());
  pause_.start(kPause);
}

Fd Acceptor::accept_one() {
  return Fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

bool Acceptor::accept_next() {
  Fd connection = accept_one();
  if (!connection && (errno == EMFILE || errno == ENFILE) && !reserve_.empty()) {
    reserve_.pop_back();
    connection = accept_one();
  }
  if (connection) {
    accepted_(std::move(connection));
    return true;
  }
  // A connection that has ended in the queue is no reason to look away; all others but an empty queue are.
  if (errno == EINTR || errno == ECONNABORTED) return true;
  if (errno != EAGAIN) pause();
  return false;
}

void Acceptor::on_events(std::uint32_t) {
  for (int i = 0; i < kAtOnce && listening_; ++i)
    if (!accept_next()) return;
}

void Acceptor::serve_out() {
  if (!listening_ || pause_.active()) return;
  refuse_new_clients(listening_.get(), true);
  for (int i = 0; i < SOMAXCONN && accept_next();) ++i;
}

}  // namespace weir
