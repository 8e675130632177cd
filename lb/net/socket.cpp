#include "lb/net/socket.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <fstream>

#include "lb/base/congestion_control.h"

namespace weir {
namespace {

void set_option(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

/// The longest accept queue the kernel grants.
int listen_backlog() {
  int backlog = SOMAXCONN;
  std::ifstream("/proc/sys/net/core/somaxconn") >> backlog;
  return backlog;
}

tl::unexpected<Error> bind_failed(const Address& address, int code) {
  const std::string what = fmt::format("cannot bind {}", address.to_string());
  if (code == EACCES && !address.is_unix() && address.port() < 1024)
    return fail_errno(what + " (a port below 1024 needs root or the capability CAP_NET_BIND_SERVICE)", code);
  if (code == EADDRINUSE)
    return fail_errno(what + " (another process listens there; if it is Weir, `weir upgrade` replaces it)",
                      code);
  return fail_errno(what, code);
}

/// Whether somebody accepts on this unix path.
Result<bool> is_live(const Address& address) {
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return fail_errno(fmt::format("cannot bind {}", address.to_string()), errno);
  return connect(probe.get(), address.data(), address.size()) == 0 || errno == EAGAIN;
}

Result<void> remove_stale(const Address& address) {
  const std::string path(address.path());
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(fmt::format("cannot bind {}", address.to_string()), errno);
  }
  if (!S_ISSOCK(status.st_mode))
    return fail(fmt::format("cannot bind {}: the path exists and is not a socket", address.to_string()));
  const auto live = is_live(address);
  if (!live) return tl::unexpected(live.error());
  if (*live) return bind_failed(address, EADDRINUSE);
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno(fmt::format("cannot replace the stale socket {}", path), errno);
  return {};
}

}  // namespace

Result<Fd> listen_tcp(const Address& address, bool first) {
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(fmt::format("cannot listen on {}", address.to_string()), errno);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!first) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (address.family() == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  set_nodelay(fd.get());
  set_keepalive(fd.get());
  if (bind(fd.get(), address.data(), address.size()) != 0) return bind_failed(address, errno);
  if (listen(fd.get(), listen_backlog()) != 0) return bind_failed(address, errno);
  // Only now may sockets of this process join: whoever bound before us has already been told EADDRINUSE.
  if (first) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  return fd;
}

Result<void> set_access(const std::string& path, const UnixAccess& access) {
  constexpr auto kLeave = static_cast<uid_t>(-1);
  if ((access.owner || access.group) &&
      lchown(path.c_str(), access.owner.value_or(kLeave), access.group.value_or(kLeave)) != 0)
    return fail_errno(fmt::format("cannot give {} to its owner", path), errno);
  // A new owner takes bits away, and the umask may have: safe, but not what was asked for.
  if (chmod(path.c_str(), access.mode) != 0)
    return fail_errno(fmt::format("cannot set the mode of {}", path), errno);
  return {};
}

Result<Fd> listen_unix(const Address& address, const UnixAccess& access) {
  if (address.has_file())
    if (auto removed = remove_stale(address); !removed) return tl::unexpected(removed.error());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(fmt::format("cannot listen on {}", address.to_string()), errno);
  // The mode of the unbound socket becomes the file's: there is no moment in which it is open to others.
  if (fchmod(fd.get(), access.mode) != 0)
    return fail_errno(fmt::format("cannot set the mode of {}", address.to_string()), errno);
  if (bind(fd.get(), address.data(), address.size()) != 0) return bind_failed(address, errno);
  // Before listen() a connect is refused.
  if (address.has_file())
    if (auto set = set_access(std::string(address.path()), access); !set) {
      unlink(std::string(address.path()).c_str());
      return tl::unexpected(set.error());
    }
  if (listen(fd.get(), listen_backlog()) != 0) return bind_failed(address, errno);
  return fd;
}

void refuse_new_clients(int listening, bool refuse) {
  if (!refuse) {
    const int unused = 0;
    setsockopt(listening, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
    return;
  }
  int domain = AF_UNSPEC;
  socklen_t size = sizeof domain;
  if (getsockopt(listening, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain == AF_UNIX) return;
  // A filter on a TCP socket sees the segment from the TCP header on: byte 13 has the flags, of which a first
  // SYN has SYN (2) without ACK (16). A classic filter needs no privilege.
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),          BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
  setsockopt(listening, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void stop_listening(int fd) {
  // Not shutdown(2): a second one, of whoever shares the socket, leaves a mark that every client accepted
  // later would inherit, as if it had finished.
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  (void)connect(fd, &nobody, sizeof nobody);
}

Result<void> listen_again(int fd) {
  if (listen(fd, listen_backlog()) != 0) return fail_errno("listen", errno);
  return {};
}

bool is_listening(int fd) {
  int listening = 0;
  socklen_t size = sizeof listening;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0;
}

bool bind_source(int fd, const Address& from) {
  set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  return bind(fd, from.data(), from.size()) == 0;
}

Result<Connecting> start_connect(const Address& to, const Address* from,
                                 std::string_view congestion_control) {
  Connecting result{Fd(socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), false};
  if (!result.fd) return tl::unexpected(Error{"socket", errno});
  if (!to.is_unix()) set_congestion_control(result.fd.get(), congestion_control);
  if (from != nullptr && !bind_source(result.fd.get(), *from)) return tl::unexpected(Error{"bind", errno});
  if (connect(result.fd.get(), to.data(), to.size()) == 0)
    result.connected = true;
  else if (errno != EINPROGRESS)
    return tl::unexpected(Error{"connect", errno});
  return result;
}

Result<Connecting> start_connect(const Address& to, std::span<const Address> sources, std::size_t turn,
                                 std::string_view congestion_control) {
  const auto fits = [&](const Address& source) { return source.family() == to.family(); };
  const auto count = static_cast<std::size_t>(std::ranges::count_if(sources, fits));
  if (count == 0) return start_connect(to, nullptr, congestion_control);
  std::size_t skip = turn % count;
  std::size_t left = count;
  for (std::size_t i = 0;; i = (i + 1) % sources.size()) {
    if (!fits(sources[i]) || (skip > 0 && skip-- > 0)) continue;
    auto connecting = start_connect(to, &sources[i], congestion_control);
    if (connecting || connecting.error().code != EADDRNOTAVAIL || --left == 0) return connecting;
  }
}

ConnectFault classify_connect_error(int error, bool is_unix) {
  if (is_shortage(error)) return ConnectFault::Shortage;
  switch (error) {
    case EAGAIN:
      return is_unix ? ConnectFault::BacklogFull : ConnectFault::Shortage;
    case EADDRNOTAVAIL:
      return ConnectFault::NoSourcePort;
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case EINVAL:
    case ENETUNREACH:
    case ENETDOWN:
    case ENODEV:
      return ConnectFault::AddressUnusable;
    default:
      return ConnectFault::Backend;
  }
}

ConnectFault classify_connect_error(int error, const Address& to) {
  const ConnectFault fault = classify_connect_error(error, to.is_unix());
  if (fault != ConnectFault::NoSourcePort) return fault;
  // A datagram socket finds its source address in the same way, and has ports of its own.
  const Fd look(socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const bool has_no_address =
      look && connect(look.get(), to.data(), to.size()) != 0 && errno == EADDRNOTAVAIL;
  return has_no_address ? ConnectFault::AddressUnusable : ConnectFault::NoSourcePort;
}

PortRange local_port_range() {
  PortRange range;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> range.first >> range.last;
  return range;
}

bool may_meet_itself(const Address& to) {
  if (to.is_unix() || !local_port_range().contains(to.port())) return false;
  Address own = to;
  own.set_port(0);
  const Fd look(socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return look && bind(look.get(), own.data(), own.size()) == 0;
}

ClientAddress local_address(int fd) {
  union {
    sockaddr generic;
    sockaddr_storage any;
  } own{};
  socklen_t size = sizeof own;
  return getsockname(fd, &own.generic, &size) == 0 ? ClientAddress(&own.generic) : ClientAddress();
}

bool is_self_connected(int fd, std::uint16_t port) {
  union Name {
    sockaddr generic;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } own{}, other{};
  socklen_t own_size = sizeof own, other_size = sizeof other;
  // Of nearly all that is all there is to see.
  if (getsockname(fd, &own.generic, &own_size) != 0 || own.v4.sin_port != htons(port)) return false;
  if (getpeername(fd, &other.generic, &other_size) != 0) return false;
  if (own.generic.sa_family == AF_INET)
    return own.v4.sin_port == other.v4.sin_port && own.v4.sin_addr.s_addr == other.v4.sin_addr.s_addr;
  return own.generic.sa_family == AF_INET6 && own.v6.sin6_port == other.v6.sin6_port &&
         IN6_ARE_ADDR_EQUAL(&own.v6.sin6_addr, &other.v6.sin6_addr);
}

void close_together(std::vector<Fd>& sockets) {
#ifdef __SANITIZE_THREAD__
  // ThreadSanitizer does not know close_range(), and takes the next owner of a number for a second owner of
  // this one.
  return sockets.clear();
#endif
  std::sort(sockets.begin(), sockets.end(), [](const Fd& a, const Fd& b) { return a.get() < b.get(); });
  for (std::size_t first = 0, next = 0; first < sockets.size(); first = next) {
    next = first + 1;
    while (next < sockets.size() && sockets[next].get() == sockets[next - 1].get() + 1) ++next;
    if (next - first == 1) continue;
    const auto low = static_cast<unsigned>(sockets[first].get());
    const auto high = static_cast<unsigned>(sockets[next - 1].get());
    // Refused (an old kernel, a sandbox): nothing has been closed, and each is by its owner below.
    if (close_range(low, high, 0) != 0) continue;
    for (std::size_t i = first; i < next; ++i) (void)sockets[i].release();
  }
  sockets.clear();
}

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void set_keepalive(int fd) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
}

void set_pacing(int fd, std::uint64_t bytes_per_second) {
  setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &bytes_per_second, sizeof bytes_per_second);
}

void set_nodelay(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void set_reset_on_close(int fd) {
  const linger reset{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

int take_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

int unsent_bytes(int fd) {
  int bytes = 0;
  if (ioctl(fd, SIOCOUTQ, &bytes) != 0 || bytes == 0) return 0;
  int domain = AF_UNSPEC;
  socklen_t size = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX ? 0 : bytes;
}

}  // namespace weir
