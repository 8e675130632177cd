#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/timing.h"

namespace weir::test {

/// Clients that have one whole session after the other, as fast as they go: each sends bytes of its own,
/// finishes its side, and checks that exactly these come back, and then a clean end.
class SteadyClients {
 public:
  SteadyClients(std::string address, std::size_t threads);
  ~SteadyClients();
  SteadyClients(const SteadyClients&) = delete;
  SteadyClients& operator=(const SteadyClients&) = delete;

  std::size_t sessions() const { return sessions_; }
  /// Until that many more sessions have ended.
  bool wait_for_more(std::size_t count, milliseconds deadline = kPatience) const;
  /// Lets every session end.
  void stop();

  // After stop().
  const std::vector<std::string>& failures() const { return failures_; }
  /// How many sessions each client address has had.
  const std::map<std::string, int>& sources() const { return sources_; }

 private:
  void run(std::size_t seed);
  void one_session(std::size_t client, std::size_t number);

  const std::string address_;
  std::atomic<std::size_t> sessions_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  // guards the next two
  std::vector<std::string> failures_;
  std::map<std::string, int> sources_;
  std::vector<std::thread> threads_;
};

}  // namespace weir::test
