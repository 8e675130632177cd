#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lb/base/address.h"
#include "lb/base/error.h"
#include "lb/base/fd.h"

namespace weir {

/// A listening socket that this process was started with.
struct InheritedSocket {
  Address address;  ///< by the kernel's word, not the starter's
  Fd fd;
  std::string name;           ///< of LISTEN_FDNAMES; else empty
  bool held_outside = false;  ///< the service manager keeps it open and owns its path
  bool shut = false;          ///< stop_listening(): whoever had it has closed it for a while
};

/// Takes a descriptor that must be a listening stream socket, or a TCP one that has been, and makes it one of
/// ours: non-blocking, close-on-exec, TCP_NODELAY and keepalive for the clients to inherit. An error leaves
/// it open.
Result<InheritedSocket> adopt_listening(int fd);

/// Socket activation (sd_listen_fds(3)): the sockets of LISTEN_FDS, when LISTEN_PID names this process. The
/// variables are taken out of the environment, so that no child believes them. What is no listening stream
/// socket is closed and complained of.
struct Activation {
  std::vector<InheritedSocket> sockets;
  std::vector<std::string> complaints;
};
Activation take_activation();

/// Names the socket behind a descriptor: the same for every duplicate of it, in any process.
std::uint64_t socket_identity(int fd);

}  // namespace weir
