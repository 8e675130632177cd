#include "lb/base/own_sockets.h"

#include <fmt/format.h>
#include <ifaddrs.h>

#include <algorithm>
#include <filesystem>
#include <memory>

namespace weir {
namespace {

/// As many as the kernel follows.
constexpr int kMostLinks = 40;

std::string key_of(const ClientAddress& address) {
  const auto ip = address.ip();
  return {ip.begin(), ip.end()};
}

/// Of a unix socket: where its file really is, or its abstract name.
std::string place_of(const Address& local) {
  return local.has_file() ? real_path(local.path()) : local.host_to_string();
}

bool is_unspecified(const ClientAddress& address) {
  return std::ranges::all_of(address.ip(), [](auto byte) { return byte == 0; });
}

}  // namespace

bool is_loopback(const ClientAddress& address) {
  const auto ip = address.ip();
  return ip.size() == 4 ? ip.front() == 127
                        : ip.size() == 16 && ip.back() == 1 &&
                              std::all_of(ip.begin(), ip.end() - 1, [](auto b) { return b == 0; });
}

HostAddresses::HostAddresses(const std::vector<Address>& addresses) {
  for (const Address& address : addresses) known_.insert(key_of(ClientAddress(address.data())));
}

HostAddresses HostAddresses::read() {
  HostAddresses host;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return host;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    const sockaddr* const address = entry->ifa_addr;
    if (address != nullptr && (address->sa_family == AF_INET || address->sa_family == AF_INET6))
      host.known_.insert(key_of(ClientAddress(address)));
  }
  return host;
}

bool HostAddresses::contains(const ClientAddress& ip) const {
  return is_loopback(ip) || known_.contains(key_of(ip));
}

void OwnSockets::add(const Address& bound, std::size_t tag) {
  if (bound.is_unix()) {
    by_path_.emplace(place_of(bound), tag);
    return;
  }
  const ClientAddress address(bound.data());
  by_port_.emplace(bound.port(), Bound{address, is_unspecified(address), tag});
}

std::optional<std::size_t> OwnSockets::reached_by(const Address& to) const {
  if (to.is_unix()) {
    const auto found = by_path_.find(place_of(to));
    return found == by_path_.end() ? std::nullopt : std::optional(found->second);
  }
  const ClientAddress ip(to.data());
  // To the kernel, connecting to no address is connecting to itself.
  const bool to_itself = is_unspecified(ip);
  const bool to_host = to_itself || host_.contains(ip);
  const auto [begin, end] = by_port_.equal_range(to.port());
  for (auto it = begin; it != end; ++it) {
    const Bound& bound = it->second;
    if (bound.address.ip().size() != ip.ip().size()) continue;
    const bool hit = bound.wildcard ? to_host
                     : to_itself    ? is_loopback(bound.address)
                                    : std::ranges::equal(bound.address.ip(), ip.ip());
    if (hit) return bound.tag;
  }
  return std::nullopt;
}

std::vector<Address> known_addresses(const Endpoint& endpoint) {
  if (endpoint.address) return {*endpoint.address};
  std::string host = lower_host(endpoint.host);
  if (host.ends_with('.')) host.pop_back();
  if (host != "localhost" && !host.ends_with(".localhost")) return {};
  std::vector<Address> addresses;
  for (const char* text : {"127.0.0.1", "[::1]"})
    addresses.push_back(Address::parse_ip_port(fmt::format("{}:{}", text, endpoint.port)).value());
  return addresses;
}

std::string real_path(std::string_view text) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  fs::path path(text);
  for (int links = 0; links < kMostLinks; ++links) {
    fs::path parent = fs::weakly_canonical(path.parent_path(), ignored);
    if (ignored) return path.lexically_normal().string();
    path = parent / path.filename();
    if (!fs::is_symlink(path, ignored)) break;
    const fs::path target = fs::read_symlink(path, ignored);
    if (ignored) break;
    path = target.is_absolute() ? target : parent / target;
  }
  return path.string();
}

}  // namespace weir
