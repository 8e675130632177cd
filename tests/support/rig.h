#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/fake_backend.h"
#include "tests/support/port.h"
#include "tests/support/weir_daemon.h"

namespace weir::test {

/// `count` backends that greet with their letter: "a", "b", ...
std::vector<FakeBackendOptions> lettered(std::size_t count);

/// `count` backends that greet with nothing and echo.
std::vector<FakeBackendOptions> echoing(std::size_t count = 1);

/// One backend that runs `script` for each connection.
FakeBackendOptions scripted(std::function<void(Stream&)> script);

/// A Weir between a port of 127.0.0.1 and fake backends named "a", "b", ... in one pool.
class Rig {
 public:
  /// `config` without bind and backends, which the rig fills in. `backend_lines`: further lines of each
  /// backend's table, as far as given.
  explicit Rig(std::vector<FakeBackendOptions> backends, SimpleConfig config = {},
               const std::vector<std::string>& backend_lines = {}, const ProcessOptions& options = {});

  const std::string& address() const { return address_; }
  const FreePort& port() const { return port_; }
  FakeBackend& backend(std::size_t index = 0) { return *backends_[index]; }
  std::size_t open_sessions() const;  ///< connections open at all backends
  WeirDaemon& weir() { return *weir_; }
  Process& process() { return weir_->process(); }
  /// What the daemon was started with, complete.
  const SimpleConfig& config() const { return config_; }
  /// Ends the daemon and starts another one on the same port with `config`, completed in the same way; the
  /// file lists the backends in the order of `order`.
  void restart(SimpleConfig config, const std::vector<std::size_t>& order);

  Stream connect(const ConnectOptions& options = {}) const { return Stream::connect(address_, options); }
  /// `count` whole sessions one after another, and the letters that greeted them.
  std::string letters(std::size_t count) const;

 private:
  FreePort port_;
  std::string address_;
  std::vector<std::string> backend_lines_;
  ProcessOptions options_;
  std::vector<std::unique_ptr<FakeBackend>> backends_;
  SimpleConfig config_;
  std::unique_ptr<WeirDaemon> weir_;
};

/// One whole session that ends well, started from `source` if given: its greeting of one byte.
char one_session(const std::string& address, const ConnectOptions& options = {});

/// How long each of `count` round trips of one byte takes.
std::vector<milliseconds> round_trips(Stream& stream, std::size_t count);

/// Bytes of the socket's send queue that the other side has not acknowledged yet.
int unacknowledged(const Stream& stream);

/// How many TCP sockets of this network are in `state` ("08" is CLOSE-WAIT) with `port` at either end.
std::size_t sockets_in_state(std::string_view state, std::uint16_t port);

}  // namespace weir::test
