#pragma once

#include <csignal>
#include <memory>
#include <string>

#include "tests/support/port.h"
#include "tests/support/process.h"

namespace weir::test {

/// A fake backend in a process of its own, so that it can die or be stopped as a real one does. It greets
/// with "ready " and its letter, and echoes. The program is the running test program itself, which must have
/// a hidden test case named kTestName that calls serve_as_backend().
class BackendProcess {
 public:
  static constexpr auto kTestName = "a process that other tests use as a backend";

  explicit BackendProcess(char letter);

  std::string address() const { return port_.v4(); }
  std::uint16_t port() const { return port_.number(); }
  std::string name() const { return std::string(1, letter_); }

  void kill();   ///< SIGKILL; returns when the process is gone and its port refuses
  void start();  ///< again, on the same port
  void stop() const { process_->signal(SIGSTOP); }
  void go_on() const { process_->signal(SIGCONT); }

 private:
  FreePort port_;
  char letter_;
  std::unique_ptr<Process> process_;
};

/// What the process runs, until it is killed.
void serve_as_backend();

}  // namespace weir::test
