#include "bench/load/socket.h"

#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace weir::load {

Result<Address> parse_address(std::string_view text) {
  if (text.starts_with("unix:")) return Address::unix_path(text.substr(5));
  return Address::parse_ip_port(text);
}

namespace {

void remove_stale_socket(const Address& address) {
  const std::string path(address.path());
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(probe.get(), address.data(), address.size()) != 0 && errno == ECONNREFUSED)
    ::unlink(path.c_str());
}

}  // namespace

Result<Fd> listen_on(const Address& address) {
  if (address.is_unix()) remove_stale_socket(address);
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("socket", errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  // Accepted sockets inherit it.
  if (!address.is_unix()) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::bind(fd.get(), address.data(), address.size()) != 0 || ::listen(fd.get(), INT_MAX) != 0)
    return fail_errno("cannot listen on " + address.to_string(), errno);
  return fd;
}

Result<Address> local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* generic = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(fd, generic, &size) != 0) return fail_errno("getsockname", errno);
  return Address(generic, size);
}

int take_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

int Dialer::prepare(int fd) {
  if (options_.reset_on_close) {
    const linger hard{1, 0};
    if (::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard) != 0) return errno;
  }
  const int on = 1;
  if (options_.no_delay && !target_.is_unix() &&
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
    return errno;
  if (options_.sources <= 1) return 0;
  // The port is chosen at connect(), when the whole four-tuple is known: 28,000 for each source and target.
  if (::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0) return errno;
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + next_source_);
  next_source_ = (next_source_ + 1) % options_.sources;
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) == 0 ? 0 : errno;
}

Dialer::Dial Dialer::dial() {
  Fd fd(::socket(target_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return {Fd(), errno};
  if (const int error = prepare(fd.get()); error != 0) return {Fd(), error};
  if (::connect(fd.get(), target_.data(), target_.size()) != 0 && errno != EINPROGRESS) return {Fd(), errno};
  return {std::move(fd), 0};
}

}  // namespace weir::load
