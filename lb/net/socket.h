#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
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

/// Who may connect to a unix socket's file; nothing: whoever makes it, in its own group.
struct UnixAccess {
  std::uint32_t mode = 0;
  std::optional<uid_t> owner = {};
  std::optional<gid_t> group = {};
};
/// A non-blocking listening socket on a path. A stale socket file is replaced; a live one, and anything that
/// is not a socket, is refused. The file has `mode` from birth, and its owner before anybody can connect. An
/// abstract name has no file: `access` means nothing to it.
Result<Fd> listen_unix(const Address& address, const UnixAccess& access);
/// What the file at `path` is now is made to be that.
Result<void> set_access(const std::string& path, const UnixAccess& access);

/// Whether clients who have not begun to connect yet stay out of a listening TCP socket's queue: their SYNs
/// are ignored (they try again after a second, and find whoever listens then), while handshakes that are
/// under way come to their end. No-op for unix sockets, which have no such means.
void refuse_new_clients(int listening, bool refuse);
/// From now on the kernel refuses whoever connects, as if nothing listened. Whoever is in the queue is reset.
/// May be repeated. The address stays bound, but a program that sets SO_REUSEADDR may listen there meanwhile.
/// TCP only: a unix socket could not be opened again.
void stop_listening(int fd);
/// It takes connections again.
Result<void> listen_again(int fd);
bool is_listening(int fd);

/// A non-blocking, close-on-exec stream socket of the address's family, with a connect under way (or done).
struct Connecting {
  Fd fd;
  bool connected = false;  ///< unix sockets connect at once
};
/// From which local IP (port 0) a socket is to connect, before connect() chooses the port: one port serves
/// connections to different places. False, with errno, when this host has no such address.
bool bind_source(int fd, const Address& from);

/// `from`: the local IP to connect from (port 0); null = the one that the kernel takes. `congestion_control`:
/// of TCP; "" = the system's, and as good as that: one that is not allowed.
Result<Connecting> start_connect(const Address& to, const Address* from = nullptr,
                                 std::string_view congestion_control = {});
/// From the `turn`-th, counted round, of those of `sources` that are of the address's family; when that one
/// has no port left, or is not this host's, from the next. Of another family's there is no source to choose.
Result<Connecting> start_connect(const Address& to, std::span<const Address> sources, std::size_t turn,
                                 std::string_view congestion_control = {});

/// Of whom a socket() or connect() that failed tells something.
enum class ConnectFault : std::uint8_t {
  Shortage,         ///< of us: no descriptor, no memory. Passes, and the next address would meet it too
  NoSourcePort,     ///< of us: every source port for this address is in use. Passes
  BacklogFull,      ///< of a unix backend: its queue has no room at this moment, which no event will tell
  AddressUnusable,  ///< of the address: this host has no way to it (IPv6 is off, no route). Another may do
  Backend           ///< of the backend: refused, unreachable, timed out
};
/// Pure. EADDRNOTAVAIL is taken for NoSourcePort.
ConnectFault classify_connect_error(int error, bool is_unix);
/// The same with `to` looked at: EADDRNOTAVAIL is what a host without any address of that family says, too.
/// Costs system calls after EADDRNOTAVAIL only.
ConnectFault classify_connect_error(int error, const Address& to);

/// Whether a connection to `to` may meet itself: the kernel takes the very port that it connects to for its
/// source port, and TCP opens from both sides at once. Only on an address of this host, and only with a port
/// of ip_local_port_range. Some system calls: ask once for an address, not for each connection.
bool may_meet_itself(const Address& to);
/// The ports that the kernel takes for source ports (net.ipv4.ip_local_port_range).
struct PortRange {
  unsigned first = 1;
  unsigned last = 65535;
  bool contains(std::uint16_t port) const { return port >= first && port <= last; }
};
PortRange local_port_range();

/// The address that this end of a connection has; none for a unix socket. One system call.
ClientAddress local_address(int fd);

/// Both ends of the connection are this very socket: nobody listens there. Close it with a reset, since its
/// TIME_WAIT would keep a server from binding the port. `port`: that it was connected to. One system call, or
/// two.
bool is_self_connected(int fd, std::uint16_t port);

/// Closes them all and leaves `sockets` empty: descriptors that follow one another by one close_range()
/// instead of a close() each. Under churn numbers are handed out lowest first, so most do.
void close_together(std::vector<Fd>& sockets);

/// Of a system call that could not have a descriptor or memory: no fault of anybody's, and likely to pass.
bool is_shortage(int error);

void set_keepalive(int fd);
void set_nodelay(int fd);
/// The kernel sends no more than so many bytes a second (SO_MAX_PACING_RATE; TCP paces by itself, without a
/// queueing discipline). No-op for unix sockets.
void set_pacing(int fd, std::uint64_t bytes_per_second);
/// The next close() destroys what is queued and sends a reset (linger 0). No-op for unix sockets.
void set_reset_on_close(int fd);
/// The error behind an EPOLLERR, taken from the socket (reading it again gives 0).
int take_socket_error(int fd);
/// Bytes that a reset would destroy: written and not yet acknowledged by the other end (SIOCOUTQ); none on a
/// unix socket, whose reader keeps what it has.
int unsent_bytes(int fd);

}  // namespace weir
