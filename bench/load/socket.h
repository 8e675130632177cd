#pragma once

#include <cstdint>
#include <string_view>

#include "lb/base/address.h"
#include "lb/base/error.h"
#include "lb/base/fd.h"

namespace weir::load {

/// Reads ip:port, [v6]:port or unix:/path; no names, since a lookup would be part of what is measured.
Result<Address> parse_address(std::string_view text);

/// A listening, non-blocking socket with a backlog as long as the system allows. A unix path that is left
/// over from a server that is gone is replaced.
Result<Fd> listen_on(const Address& address);
Result<Address> local_address(int fd);

/// The error a socket has been left with, 0 for none; takes it away.
int take_socket_error(int fd);

struct DialOptions {
  unsigned sources = 1;  ///< over 1: bound in turn to 127.0.0.2, 127.0.0.3 ...
  bool reset_on_close = false;
  bool no_delay = false;
};

/// Opens non-blocking connections to one address.
class Dialer {
 public:
  /// 127.0.0.2 to 127.0.0.65
  static constexpr unsigned kMaxSources = 64;

  Dialer(const Address& target, const DialOptions& options) : target_(target), options_(options) {}

  struct Dial {
    Fd fd;          ///< empty: failed at once
    int error = 0;  ///< the errno; EAGAIN: a unix backlog is full, try again
  };
  Dial dial();

 private:
  int prepare(int fd);

  Address target_;
  DialOptions options_;
  std::uint32_t next_source_ = 0;
};

}  // namespace weir::load
