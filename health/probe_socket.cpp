#include "health/probe_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <cctype>
#include <cerrno>
#include <cstring>

#include "lb/net/socket.h"
#include "lb/wire/proxy_header.h"

namespace weir {
namespace {

/// A unix socket whose backlog is full answers EAGAIN at once; no event tells when there is room.
constexpr Millis kRetry{20};

}  // namespace

std::string errno_text(int code) {
  char buffer[128];
  std::string text = strerror_r(code, buffer, sizeof buffer);
  text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

ProbeResult connect_failed_with(int code, const Address& address) {
  switch (classify_connect_error(code, address)) {
    case ConnectFault::Shortage:
      return {Outcome::OwnTrouble, errno_text(code), false, true};
    case ConnectFault::NoSourcePort:
      return {Outcome::OwnTrouble, "no source port is left", false};
    case ConnectFault::BacklogFull:
    case ConnectFault::AddressUnusable:
    case ConnectFault::Backend:
      break;
  }
  // The epoll set is full.
  if (code == ENOSPC) return {Outcome::OwnTrouble, errno_text(code), false, true};
  return {Outcome::Failed, errno_text(code), false};
}

ProbeResult failed_with(int code) {
  const bool own = is_shortage(code) || code == ENOSPC;
  return {own ? Outcome::OwnTrouble : Outcome::Failed, errno_text(code), true, own};
}

ProbeSocket::ProbeSocket(ProbeLoop& loop, const Address& address, const ProbeConfig& config,
                         std::function<void(int)> on_connected, std::function<void()> on_ready)
    : loop_(loop),
      address_(address),
      sources_(config.source),
      header_(config.header),
      on_connected_(std::move(on_connected)),
      on_ready_(std::move(on_ready)),
      retry_(loop, [this] { state_ == State::Connecting ? start() : on_ready_(); }) {}

void ProbeSocket::start() {
  state_ = State::Connecting;
  auto connecting = start_connect(address_, sources_, 0);
  if (!connecting) {
    if (connecting.error().code == EAGAIN && address_.is_unix())
      retry_.set(loop_.read_clock() + kRetry);
    else
      settle(connecting.error().code);
    return;
  }
  fd_ = std::move(connecting->fd);
  // Not for TCP's sake alone: on the loopback the handshake is over by now, which spares two trips through
  // the loop.
  if (connecting->connected || ready(events::kWritable))
    settle(take_socket_error(fd_.get()));
  else if (!watch(events::kWritable))
    settle(ENOSPC);
}

void ProbeSocket::settle(int error) {
  if (error == 0 && is_self_connected(fd_.get(), address_.port())) {
    set_reset_on_close(fd_.get());
    error = ECONNREFUSED;
  }
  if (error == 0) set_reset_on_close(fd_.get());
  if (error == 0 && header_ != SendProxy::Off) error = send_header();
  if (error == 0)
    state_ = State::Connected;
  else
    close();
  on_connected_(error);
}

int ProbeSocket::send_header() {
  const std::string header = header_ == SendProxy::V1
                                 ? write_proxy_v1(local_address(fd_.get()), ClientAddress(address_.data()))
                                 : write_proxy_v2_local();
  // It is the first that the kernel's empty buffer gets. A server may treat what is behind it as a session
  // that was cut when it ends with a reset.
  if (send(fd_.get(), header.data(), header.size(), MSG_NOSIGNAL) < 0) return errno;
  set_nodelay(fd_.get());
  end_without_reset();
  return 0;
}

bool ProbeSocket::watch(std::uint32_t interest) {
  interest_ = interest;
  if (watched_)
    loop_.loop().change_interest(fd_.get(), *this, interest);
  else
    watched_ = loop_.loop().watch(fd_.get(), *this, interest).has_value();
  return watched_;
}

void ProbeSocket::wait_for(std::uint32_t interest) {
  if (interest_ == interest && watched_) return;
  if (!watch(interest)) {
    // Cannot be told of events: asks by itself then.
    retry_.set(loop_.now() + kRetry);
  }
}

bool ProbeSocket::ready(std::uint32_t interest) const {
  pollfd look{fd_.get(), static_cast<short>(interest & (events::kReadable | events::kWritable)), 0};
  return ::poll(&look, 1, 0) == 1;
}

void ProbeSocket::look_again() {
  if (fd_ && ready(interest_)) on_events(interest_);
}

void ProbeSocket::on_events(std::uint32_t) {
  if (state_ == State::Connecting)
    settle(take_socket_error(fd_.get()));
  else if (state_ == State::Connected)
    on_ready_();
}

void ProbeSocket::end_without_reset() {
  const linger in_order{0, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &in_order, sizeof in_order);
}

void ProbeSocket::close() {
  retry_.cancel();
  state_ = State::Closed;
  // A child that is being started may hold it, too, and keep it in the epoll set.
  if (watched_) loop_.loop().unwatch(fd_.get());
  watched_ = false;
  fd_.reset();
}

}  // namespace weir
