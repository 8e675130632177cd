#include "lb/net/notify.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <ctime>

#include "lb/base/fd.h"

namespace weir {
namespace {

std::optional<std::uint64_t> whole_number(const char* text) {
  if (text == nullptr) return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace

void Notifier::say(std::string_view lines) const {
  send(lines, true);
}

void Notifier::ping(std::string_view lines) const {
  send(lines, false);
}

void Notifier::send(std::string_view lines, bool wait) const {
  sockaddr_un address{};
  if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_[0] == '@') address.sun_path[0] = '\0';
  const Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const timeval limit{1, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const auto size = offsetof(sockaddr_un, sun_path) + socket_.size();
  sendto(fd.get(), lines.data(), lines.size(), MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT),
         reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size));
}

std::optional<Millis> watchdog_limit(const char* usec, const char* pid) {
  const auto limit = whole_number(usec);
  if (!limit || *limit < 2000) return std::nullopt;
  if (pid != nullptr && whole_number(pid) != static_cast<std::uint64_t>(getpid())) return std::nullopt;
  return Millis(static_cast<std::int64_t>(*limit / 1000));
}

std::uint64_t monotonic_usec() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace weir
