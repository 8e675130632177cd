#pragma once

#include <fcntl.h>
#include <sys/socket.h>

#include "lb/base/address.h"
#include "lb/base/error.h"
#include "lb/base/fd.h"
#include "lb/net/socket.h"

namespace weir {

inline Address address_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  WEIR_CHECK(getsockname(fd, address, &size) == 0);
  return {address, size};
}

/// A listening socket on a port of the kernel's choice. Blocking: its owner is a thread that only accepts.
inline Fd listen_on_loopback() {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address address = *Address::parse_ip_port("127.0.0.1:0");
  WEIR_CHECK(bind(fd.get(), address.data(), address.size()) == 0);
  WEIR_CHECK(listen(fd.get(), SOMAXCONN) == 0);
  return fd;
}

inline Fd connect_to(const Address& address) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  WEIR_CHECK(connect(fd.get(), address.data(), address.size()) == 0);
  return fd;
}

/// The two ends of one TCP connection over loopback, both non-blocking and without Nagle's delay.
struct LoopbackPair {
  LoopbackPair() {
    const Fd listener = listen_on_loopback();
    near = ::weir::connect_to(address_of(listener.get()));
    far = Fd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    WEIR_CHECK(far);
    WEIR_CHECK(fcntl(near.get(), F_SETFL, O_NONBLOCK) == 0);
    set_nodelay(near.get());
    set_nodelay(far.get());
  }

  Fd near;
  Fd far;
};

}  // namespace weir
