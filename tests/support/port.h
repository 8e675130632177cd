#pragma once

#include <cstdint>
#include <string>

#include "lb/base/address.h"
#include "lb/base/fd.h"

namespace weir::test {

/// A TCP port that nobody listens on, for a program that cannot be given port 0. Below the ephemeral range,
/// so that no outgoing connection takes it, and locked against other tests that run at the same time, as long
/// as this object lives.
class FreePort {
 public:
  FreePort();

  std::uint16_t number() const { return number_; }
  std::string v4() const { return "127.0.0.1:" + std::to_string(number_); }
  std::string v6() const { return "[::1]:" + std::to_string(number_); }

 private:
  std::uint16_t number_ = 0;
  Fd lock_;
};

/// Reads "ip:port", "[v6]:port" or "unix:/path". Throws when it is none of these.
Address to_address(const std::string& text);

/// The n-th of the 64 client addresses 127.0.0.2 to 127.0.0.65, with port 0: spreads clients so that source
/// ports do not run out.
Address client_source(std::size_t n);

}  // namespace weir::test
