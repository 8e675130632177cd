#pragma once

#include <string>

#include "lb/base/fd.h"

namespace weir::test {

/// Moves the calling thread, and the threads and processes it starts from then on, into a network of its own
/// with nothing but loopback in it; moves it back at the end. Needs root.
class PrivateNetwork {
 public:
  PrivateNetwork();
  ~PrivateNetwork();
  PrivateNetwork(const PrivateNetwork&) = delete;
  PrivateNetwork& operator=(const PrivateNetwork&) = delete;

  /// Whether this process may make one, and a packet filter inside it.
  static bool possible();

  /// From now on the packet filter drops every TCP segment from or to `port`.
  void cut_port(unsigned port) const;
  /// The packet filter drops nothing any more.
  void mend() const;
  /// Connects of this host to port `from` end at its own port `to`, with the source that they had.
  void redirect_port(unsigned from, unsigned to) const;
  /// One more address of this host, "192.0.2.7" or "2001:db8::7".
  void add_address(const std::string& ip) const;
  /// The range of ports for outgoing connections, "40000 40049".
  void limit_source_ports(const std::string& range) const;

 private:
  Fd home_;
};

}  // namespace weir::test
