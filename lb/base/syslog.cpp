#include "lb/base/syslog.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lb/base/log.h"

namespace weir {

namespace {

constexpr int kFacilityDaemon = 3;
constexpr std::size_t kMostHostName = 255;  // RFC 5424, 6

/// "-" where the kernel has none; no blank, which would end it.
std::string host_name() {
  std::array<char, kMostHostName + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "-";
  const std::string out(name.data());
  return out.empty() || out.find_first_of(" \t\n") != std::string::npos ? "-" : out;
}

}  // namespace

std::string syslog_path(std::string_view target) {
  if (!target.starts_with(kSyslog)) return "";
  target.remove_prefix(kSyslog.size());
  return target.empty() ? kSyslogSocket : std::string(target);
}

std::string syslog_message(Severity severity, std::chrono::system_clock::time_point time,
                           std::string_view kind, std::string_view text) {
  return fmt::format("<{}>1 {} {} weir {} {} - {}", kFacilityDaemon * 8 + static_cast<int>(severity),
                     format_time(time), host_name(), ::getpid(), kind, text);
}

Result<SyslogSocket> SyslogSocket::open(std::string path) {
  SyslogSocket socket(std::move(path));
  if (const int error = socket.connect(); error != 0)
    return fail_errno(fmt::format("no syslog daemon at {}", socket.path_), error);
  return socket;
}

int SyslogSocket::connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return errno;
  fd_ = std::move(fd);
  return 0;
}

int SyslogSocket::send(std::string_view message) {
  for (int attempt = 0;; ++attempt) {
    if (!fd_)
      if (const int error = connect(); error != 0) return error;
    if (::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL) >= 0) return 0;
    const int error = errno;
    if (error == EINTR) continue;
    if (error == EAGAIN || error == ENOBUFS || error == EMSGSIZE) return error == ENOBUFS ? EAGAIN : error;
    fd_.reset();
    if (attempt > 0) return error;
  }
}

void SyslogSocket::wait(std::chrono::milliseconds at_most) const {
  pollfd ready{fd_.get(), POLLOUT, 0};
  ::poll(&ready, fd_ ? 1 : 0, static_cast<int>(at_most.count()));
}

}  // namespace weir
