#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "lb/base/fd.h"
#include "tests/support/stream.h"

namespace weir::test {

/// What a fake backend does with a connection after it has sent its greeting.
enum class Then {
  Echo,     ///< sends back what comes; after EOF and the last byte it closes
  Discard,  ///< reads and throws away; after EOF it closes
  Stall,    ///< never reads
  Finish,   ///< FIN at once, then reads until EOF
  Flood,    ///< sends without end, never reads
  Reset     ///< RST at once
};

struct FakeBackendOptions {
  std::string greeting = {};
  Then then = Then::Echo;
  /// Instead of `then`: runs for each connection on a thread of its own, after the greeting. The connection
  /// closes when it returns. A StreamError is kept as a failure.
  std::function<void(Stream&)> script = {};
  std::string address = "127.0.0.1:0";
  int receive_buffer = 0;  ///< SO_RCVBUF in bytes; 0 = the system's
  int send_buffer = 0;     ///< SO_SNDBUF in bytes
};

/// A backend whose every move the test decides. Serves from threads of its own; all methods may be called
/// from any thread.
class FakeBackend {
 public:
  explicit FakeBackend(FakeBackendOptions options = {});
  ~FakeBackend();
  FakeBackend(const FakeBackend&) = delete;
  FakeBackend& operator=(const FakeBackend&) = delete;

  const std::string& address() const { return address_; }
  std::uint16_t port() const { return port_; }

  std::size_t accepted() const { return accepted_; }
  std::size_t open() const { return open_; }  ///< connections whose end this backend has not seen or made
  std::size_t resets() const { return resets_; }
  std::size_t finished() const { return finished_; }  ///< connections whose client side has sent FIN
  std::uint64_t bytes_received() const { return bytes_received_; }
  /// What all connections together have sent, in the order of arrival; the first MiB of it.
  std::string received() const;
  std::vector<std::string> script_failures() const;

  void stop_listening();                 ///< new connections are refused; returns when that is so
  void listen_again();                   ///< on the same address
  void reset_all();                      ///< RST to every connection (not to those of scripts)
  void send_all(std::string_view data);  ///< to every connection (not to those of scripts)

 private:
  struct Connection {
    Fd fd;
    std::string unsent;
    bool read_to_end = false;
  };

  void listen();
  void serve();
  void accept_all();
  void start(Fd fd);
  void handle(Connection& connection, unsigned events);
  bool read_all(Connection& connection);  ///< false: it is gone
  bool flush(Connection& connection);     ///< false: it is gone
  void drop(int fd, bool was_reset);
  void record(std::string_view data);
  /// Runs `action` on the serving thread and waits until it is done.
  void on_thread(const std::function<void()>& action);

  FakeBackendOptions options_;
  std::string address_;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> accepted_{0};
  std::atomic<std::size_t> open_{0};
  std::atomic<std::size_t> resets_{0};
  std::atomic<std::size_t> finished_{0};
  std::atomic<std::uint64_t> bytes_received_{0};

  mutable std::mutex mutex_;  // guards the next four
  std::string received_;
  std::vector<std::string> script_failures_;
  std::vector<std::function<void()>> actions_;
  std::vector<std::thread> scripts_;

  // The serving thread's own.
  Fd listening_;
  std::unordered_map<int, Connection> connections_;

  Fd epoll_;
  Fd wake_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

/// An address that answers no SYN: a listening socket whose queue is full.
class BlackHole {
 public:
  BlackHole();

  const std::string& address() const { return address_; }
  /// From now on it refuses: a connect hears of it when it next repeats its SYN.
  void refuse() { listening_.reset(); }
  /// From now on it answers: the next connect that repeats its SYN, or comes.
  Stream accept(milliseconds deadline = kPatience);

 private:
  Fd listening_;
  std::string address_;
  std::vector<Stream> fillers_;
};

/// An address of 127.0.0.1 that refuses, and whose port nobody else gets while this object lives.
class RefusingPort {
 public:
  RefusingPort();

  const std::string& address() const { return address_; }

 private:
  Fd bound_;
  std::string address_;
};

}  // namespace weir::test
