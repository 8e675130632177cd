#pragma once

#include <string>
#include <string_view>

#include "lb/base/address.h"
#include "lb/base/error.h"
#include "lb/base/own_sockets.h"

namespace weir {

/// The one that sockets get by themselves (net.ipv4.tcp_congestion_control); "" where it cannot be read.
std::string system_congestion_control();

/// Nothing, or why not, with those that the kernel allows this process. Asks the kernel, on a socket.
Result<void> may_use_congestion_control(std::string_view name);

/// The one that a socket has; "" for none.
std::string congestion_control_of(int fd);
/// False, and nothing has changed, when the kernel does not allow it. No-op for "".
bool set_congestion_control(int fd, std::string_view name);

/// Which congestion control a connection gets where the configuration names none. To this host itself that is
/// the cheapest one: one that paces what it sends (BBR, without fq below it) keeps a timer for each socket,
/// and there is no network to be fair to. A value; asks nobody once it is made.
class UnnamedCongestionControl {
 public:
  /// The system's for everybody.
  UnnamedCongestionControl() = default;
  /// Asks the kernel what it has, and which addresses are this host's.
  static UnnamedCongestionControl read();
  /// `for_this_host`: "" = the system's.
  UnnamedCongestionControl(HostAddresses host, std::string for_this_host)
      : host_(std::move(host)), for_this_host_(std::move(for_this_host)) {}

  /// For a connection to there; "" = the system's.
  const std::string& of(const Address& peer) const;
  /// For those that are accepted there: not unless nobody but this host can come.
  const std::string& of_listener(const Address& bound) const;

 private:
  HostAddresses host_;
  std::string for_this_host_;
};

}  // namespace weir
