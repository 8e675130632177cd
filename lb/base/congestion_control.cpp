#include "lb/base/congestion_control.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include "lb/base/fd.h"

namespace weir {
namespace {

const std::string kSystems;
constexpr std::string_view kCheapest = "reno";

std::string words_of(const char* path) {
  std::string words;
  std::ifstream file(path);
  std::getline(file, words);
  return words;
}

/// Its clock says when each packet may leave.
bool paces(std::string_view name) {
  return name.starts_with("bbr");
}

}  // namespace

std::string system_congestion_control() {
  return words_of("/proc/sys/net/ipv4/tcp_congestion_control");
}

std::string congestion_control_of(int fd) {
  constexpr std::size_t kMost = 16;  // TCP_CA_NAME_MAX of the kernel
  char name[kMost] = {};
  socklen_t size = kMost;
  if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) != 0) return {};
  return {name, strnlen(name, kMost)};
}

bool set_congestion_control(int fd, std::string_view name) {
  return name.empty() ||
         setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size())) == 0;
}

Result<void> may_use_congestion_control(std::string_view name) {
  const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("cannot ask the kernel", errno);
  if (set_congestion_control(fd.get(), name)) return {};
  // EPERM: it is there, for CAP_NET_ADMIN.
  return fail(fmt::format(
      "{}: one of {}", errno == EPERM ? "the kernel does not allow it here" : "the kernel does not have it",
      words_of("/proc/sys/net/ipv4/tcp_allowed_congestion_control")));
}

UnnamedCongestionControl UnnamedCongestionControl::read() {
  if (!paces(system_congestion_control()) || !may_use_congestion_control(kCheapest)) return {};
  return {HostAddresses::read(), std::string(kCheapest)};
}

const std::string& UnnamedCongestionControl::of(const Address& peer) const {
  return for_this_host_.empty() || peer.is_unix() || !host_.contains(ClientAddress(peer.data()))
             ? kSystems
             : for_this_host_;
}

const std::string& UnnamedCongestionControl::of_listener(const Address& bound) const {
  return for_this_host_.empty() || bound.is_unix() || !HostAddresses().contains(ClientAddress(bound.data()))
             ? kSystems
             : for_this_host_;
}

}  // namespace weir
