#pragma once

#include <cstdint>
#include <vector>

#include "lb/base/address.h"
#include "lb/base/duration.h"
#include "lb/base/error.h"
#include "lb/base/fd.h"

namespace weir {

/// Keepalive of every TCP session socket: dead after 60 s + 6 × 10 s of silence.
inline constexpr int kKeepaliveIdleSeconds = 60;
inline constexpr int kKeepaliveIntervalSeconds = 10;
inline constexpr int kKeepaliveProbes = 6;

/// A non-blocking listening socket on `address`; clients inherit TCP_NODELAY and keepalive from it. `first`:
/// claims the address (bound without SO_REUSEPORT, so that another process's is refused with EADDRINUSE, and
/// opened to sharing afterwards). Not `first`: one more socket beside those of this process, with a queue of
/// its own; the kernel spreads connections evenly over them. IPv6 is IPv6 only. For TCP; see listen_unix for
/// paths.
Result<Fd> listen_tcp(const Address& address, bool first);

/// A non-blocking listening socket on a path. A stale socket file is replaced; a live one, and anything that
/// is not a socket, is refused. The file has `mode` from birth.
Result<Fd> listen_unix(const Address& address, std::uint32_t mode);

/// A non-blocking, close-on-exec stream socket of the address's family, with a connect under way (or done).
struct Connecting {
  Fd fd;
  bool connected = false;  ///< unix sockets connect at once
};
Result<Connecting> start_connect(const Address& address);

/// Closes them all and leaves `sockets` empty: descriptors that follow one another by one close_range()
/// instead of a close() each. Under churn numbers are handed out lowest first, so most do.
void close_together(std::vector<Fd>& sockets);

/// Of a system call that could not have a descriptor or memory: no fault of anybody's, and likely to pass.
bool is_shortage(int error);

void set_keepalive(int fd);
void set_nodelay(int fd);
/// The next close() destroys what is queued and sends a reset (linger 0). No-op for unix sockets.
void set_reset_on_close(int fd);
/// The error behind an EPOLLERR, taken from the socket (reading it again gives 0).
int take_socket_error(int fd);
/// Bytes that a reset would destroy: written and not yet acknowledged by the other end (SIOCOUTQ); none on a
/// unix socket, whose reader keeps what it has.
int unsent_bytes(int fd);

}  // namespace weir
