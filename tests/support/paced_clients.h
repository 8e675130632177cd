#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/stream.h"
#include "tests/support/timing.h"

namespace weir::test {

/// One session of PacedClients.
struct PacedSession {
  std::string client;  ///< its address, as the access log has it
  Clock::time_point began;
  Clock::time_point ended;
  std::string answer;   ///< everything that came before the end
  std::string failure;  ///< empty when it ended well: with an answer, its own byte last, and a clean end
};

/// Begins a session every `pause`, however long those before it take: so a backend that answers nobody holds
/// up nobody else's numbers. Each sends a byte, finishes its side, and reads to the end.
class PacedClients {
 public:
  PacedClients(std::string address, milliseconds pause);
  ~PacedClients();
  PacedClients(const PacedClients&) = delete;
  PacedClients& operator=(const PacedClients&) = delete;

  /// Until that many more sessions have begun.
  bool wait_for_more(std::size_t count) const;
  /// Begins no more, and waits for the end of all. Everything that has been.
  const std::vector<PacedSession>& stop();

 private:
  struct Open {
    Stream stream;
    std::size_t index;  ///< of its PacedSession
  };

  void run();
  void begin_one();
  void read_until(Clock::time_point end);
  bool read(Open& open);  ///< false: it has ended

  const std::string address_;
  const milliseconds pause_;
  std::atomic<std::size_t> begun_{0};
  std::atomic<bool> stopping_{false};
  std::vector<PacedSession> sessions_;  // the thread's own until it has been joined
  std::vector<Open> open_;
  std::thread thread_;
};

}  // namespace weir::test
