#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "lb/base/address.h"
#include "lb/base/fd.h"
#include "tests/support/byte_pattern.h"
#include "tests/support/timing.h"

namespace weir::test {

/// What a test did not expect of a connection: a deadline passed, an end came too early.
struct StreamError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// How the other side's bytes came to an end; Open = not yet, when the deadline passed.
enum class Ending { Open, Eof, Reset };

struct Received {
  std::string data;
  Ending ending;
};

struct ConnectOptions {
  std::optional<Address> source = {};  ///< bound before connecting; its port may be 0
  int receive_buffer = 0;              ///< SO_RCVBUF in bytes; 0 = the system's
  int send_buffer = 0;                 ///< SO_SNDBUF
  milliseconds deadline = kPatience;
};

/// One end of a connection, with a deadline on every operation. Closes (without a reset, unless input is
/// unread) at the end of its life.
class Stream {
 public:
  /// Throws StreamError when it is refused or takes too long.
  static Stream connect(const std::string& address, const ConnectOptions& options = {});
  /// Begins to connect and does not wait.
  static Stream begin_connect(const std::string& address, const ConnectOptions& options = {});
  explicit Stream(Fd fd) : fd_(std::move(fd)) {}  ///< takes a connected socket

  int fd() const { return fd_.get(); }
  bool open() const { return static_cast<bool>(fd_); }
  std::string peer_address() const;   ///< "192.0.2.1:80"
  std::string local_address() const;  ///< as the other side sees it, "unix" for a unix socket
  std::uint16_t local_port() const;

  void send_all(std::string_view data, milliseconds deadline = kPatience);
  /// As much as the kernel takes at once, without waiting. Throws when the connection has broken.
  std::size_t send_some(std::string_view data);
  void send_out_of_band(char byte);
  /// Sends `size` bytes of the pattern in pieces.
  void send_pattern(const BytePattern& pattern, std::uint64_t size, milliseconds deadline = kPatience);

  std::string recv_exact(std::size_t size, milliseconds deadline = kPatience);
  /// What there is, at most `size`; empty at EOF. Throws on a reset and when nothing comes.
  std::string recv_some(std::size_t size = 65536, milliseconds deadline = kPatience);
  /// Everything until EOF, reset or deadline.
  Received recv_to_end(milliseconds deadline = kPatience);
  /// The same, checked against a pattern instead of kept.
  Ending recv_to_end(PatternChecker& checker, milliseconds deadline = kPatience);
  /// Sends `data` and takes it back. True when it is the same.
  bool echoes(std::string_view data, milliseconds deadline = kPatience);

  void half_close();
  void reset();  ///< SO_LINGER(1, 0) and close
  void close() { fd_.reset(); }

 private:
  bool wait(short events, Clock::time_point end) const;
  Ending recv_piece(std::string& buffer, Clock::time_point end);

  Fd fd_;
  bool reset_seen_ = false;  ///< the kernel has already told, and tells only once
};

/// Sends `text` and a descriptor with it over a unix socket, so that a read of the other end stops behind it.
void send_with_descriptor(int fd, std::string_view text);

/// Why a connection attempt fails; empty when it succeeds (and is closed at once).
std::string connect_failure(const std::string& address, milliseconds deadline = kPatience);

}  // namespace weir::test
