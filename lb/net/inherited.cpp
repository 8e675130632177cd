#include "lb/net/inherited.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "lb/net/socket.h"

namespace weir {
namespace {

/// sd_listen_fds(3): SD_LISTEN_FDS_START.
constexpr int kFirstActivated = 3;

std::optional<int> number_of(const char* name) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  int number = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

int option_of(int fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

}  // namespace

Result<InheritedSocket> adopt_listening(int fd) {
  if (fcntl(fd, F_GETFD) < 0) return fail_errno(fmt::format("inherited descriptor {}", fd), errno);
  const int domain = option_of(fd, SO_DOMAIN);
  const auto not_listening = [fd] {
    return fail(fmt::format("inherited descriptor {} is not a listening stream socket", fd));
  };
  if (option_of(fd, SO_TYPE) != SOCK_STREAM || (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX))
    return not_listening();
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0)
    return fail_errno(fmt::format("inherited descriptor {}", fd), errno);
  InheritedSocket out;
  out.address = Address(reinterpret_cast<const sockaddr*>(&storage), size);
  out.shut = !is_listening(fd);
  if (out.shut && (domain == AF_UNIX || out.address.port() == 0)) return not_listening();
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  if (domain != AF_UNIX) {
    // It may be on the way to its close in the process it comes from.
    refuse_new_clients(fd, false);
    set_nodelay(fd);
    set_keepalive(fd);
    refuse_new_clients(fd, false);  // which a process before this one may have done, to close it
  }
  out.fd = Fd(fd);
  return out;
}

Activation take_activation() {
  Activation out;
  const auto pid = number_of("LISTEN_PID");
  const auto count = number_of("LISTEN_FDS");
  const char* const given = std::getenv("LISTEN_FDNAMES");
  std::string names = given != nullptr ? given : "";
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  if (!pid || !count || *pid != getpid()) return out;
  std::string_view rest = names;
  for (int fd = kFirstActivated; fd < kFirstActivated + *count; ++fd) {
    const std::string name(rest.substr(0, rest.find(':')));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    auto socket = adopt_listening(fd);
    if (!socket) {
      out.complaints.push_back("socket activation: " + socket.error().message);
      if (fcntl(fd, F_GETFD) < 0) break;
      Fd(fd).reset();
      continue;
    }
    socket->name = name;
    socket->held_outside = true;
    out.sockets.push_back(std::move(*socket));
  }
  return out;
}

std::uint64_t socket_identity(int fd) {
  struct stat status {};
  WEIR_CHECK(fstat(fd, &status) == 0);
  return status.st_ino;
}

}  // namespace weir
