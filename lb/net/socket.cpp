#include "lb/net/socket.h"

#include <fcntl.h>
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
bool is_live(const Address& address) {
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
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
  if (is_live(address)) return bind_failed(address, EADDRINUSE);
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

Result<Fd> listen_unix(const Address& address, std::uint32_t mode) {
  if (auto removed = remove_stale(address); !removed) return tl::unexpected(removed.error());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(fmt::format("cannot listen on {}", address.to_string()), errno);
  // The mode of the unbound socket becomes the file's: there is no moment in which it is open to others.
  if (fchmod(fd.get(), mode) != 0)
    return fail_errno(fmt::format("cannot set the mode of {}", address.to_string()), errno);
  if (bind(fd.get(), address.data(), address.size()) != 0) return bind_failed(address, errno);
  // The umask may have narrowed it, which is safe but not what was asked for.
  chmod(std::string(address.path()).c_str(), mode);
  if (listen(fd.get(), listen_backlog()) != 0) return bind_failed(address, errno);
  return fd;
}

Result<Connecting> start_connect(const Address& address) {
  Connecting result{Fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), false};
  if (!result.fd) return tl::unexpected(Error{"socket", errno});
  if (connect(result.fd.get(), address.data(), address.size()) == 0)
    result.connected = true;
  else if (errno != EINPROGRESS)
    return tl::unexpected(Error{"connect", errno});
  return result;
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
