#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lb/base/address.h"

namespace weir {

/// 127.0.0.0/8 or ::1: of every host its own.
bool is_loopback(const ClientAddress& address);

/// The IP addresses that this host answers to, as they were when they were read. A value.
class HostAddresses {
 public:
  /// Loopback only.
  HostAddresses() = default;
  /// Ports do not matter.
  explicit HostAddresses(const std::vector<Address>& addresses);
  /// Asks the kernel (getifaddrs); loopback only where it does not say.
  static HostAddresses read();

  /// Loopback is always among them.
  bool contains(const ClientAddress& ip) const;

 private:
  std::set<std::string> known_;
};

/// Where a connect would end at one of a set of bound sockets: what makes a balancer its own backend. Knows
/// what the kernel makes of addresses (wildcards, all of 127.0.0.0/8, IPv4-mapped IPv6, `0.0.0.0` as a
/// destination) and of paths (`//`, `/./`, symbolic links); a `[::]` is IPv6 only, as Weir's listeners are.
/// Knows nothing of packet filters: proxy/loop_guard finds what comes back all the same.
class OwnSockets {
 public:
  explicit OwnSockets(HostAddresses host) : host_(std::move(host)) {}

  /// `tag`: what reached_by() answers. Of several on one address the first one stays.
  void add(const Address& bound, std::size_t tag);
  std::optional<std::size_t> reached_by(const Address& to) const;

 private:
  struct Bound {
    ClientAddress address;
    bool wildcard;
    std::size_t tag;
  };

  HostAddresses host_;
  std::multimap<std::uint16_t, Bound> by_port_;
  std::map<std::string, std::size_t> by_path_;
};

/// What can be said of an endpoint's addresses without asking anybody: its own, or those of `localhost`;
/// empty for any other name.
std::vector<Address> known_addresses(const Endpoint& endpoint);

/// The path of a file or a unix socket with every symbolic link followed, also where nothing is there yet.
std::string real_path(std::string_view path);

}  // namespace weir
