#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "lb/base/fd.h"
#include "tests/support/timing.h"

namespace weir::test {

struct ProcessOptions {
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< added to this process's own
  std::optional<std::uint64_t> descriptor_limit = {};                 ///< soft and hard limit of open files
  std::optional<uid_t> user = {};      ///< runs as this user, without capabilities, where that one can go
  bool broken_stdout = false;          ///< nobody reads its stdout: writing there fails with EPIPE
  int refuse_splice = 0;               ///< the errno that splice() fails with there; 0 = it works
  std::string directory = {};          ///< to run in; "" = this process's own
  std::uint16_t terminal_columns = 0;  ///< its stdout is a terminal that wide, and 24 lines high; 0 = a pipe
  bool keyboard = false;  ///< that terminal is its controlling one and its stdin, as a shell would have it
};

/// What a stream of another process has said so far; collected by a thread of its own.
class OutputCollector {
 public:
  explicit OutputCollector(Fd read_end);
  ~OutputCollector();
  OutputCollector(const OutputCollector&) = delete;
  OutputCollector& operator=(const OutputCollector&) = delete;

  std::string text() const;
  std::size_t line_count() const;
  bool wait_for(std::string_view substring, milliseconds deadline) const;
  void wait_for_end(milliseconds deadline) const;  ///< until whoever writes has closed it
  /// Reads nothing for as long as it is held.
  void hold(bool held);

 private:
  void collect();

  Fd read_end_;
  Fd stop_;
  mutable std::mutex mutex_;
  mutable std::condition_variable grown_;
  std::string text_;
  std::size_t lines_ = 0;
  bool ended_ = false;
  std::atomic<bool> held_{false};
  std::thread thread_;  // last: it uses all of the above
};

/// A program that the test started, killed at the latest with this object (or with the test itself).
class Process {
 public:
  explicit Process(std::vector<std::string> argv, const ProcessOptions& options = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number) const;
  /// The exit status, or 128 + the signal that ended it; nothing when it still runs after `deadline`.
  std::optional<int> wait(milliseconds deadline = kPatience);

  std::string out() const { return out_->text(); }
  std::string err() const { return err_->text(); }
  std::size_t out_lines() const { return out_->line_count(); }
  bool wait_for_out(std::string_view text, milliseconds deadline = kPatience) const {
    return out_->wait_for(text, deadline);
  }
  bool wait_for_err(std::string_view text, milliseconds deadline = kPatience) const {
    return err_->wait_for(text, deadline);
  }

  /// Into its terminal, as keys.
  void type(std::string_view keys) const;
  /// Whether its terminal shows what is typed, and hands it on by the line.
  bool terminal_is_plain() const;
  /// Nobody reads its stderr any more, and the pipe is full; false: goes on.
  void stall_err(bool stalled);

  double cpu_seconds() const;                ///< user and system time so far
  std::uint64_t voluntary_switches() const;  ///< how often its threads have gone to sleep
  std::size_t threads() const;
  std::size_t resident_bytes() const;
  /// Open descriptors; with `kind` only those whose link begins so ("pipe:", "socket:").
  std::size_t descriptors(std::string_view kind = "") const;

 private:
  std::string proc_path(std::string_view entry) const;

  pid_t pid_ = -1;
  Fd pidfd_;
  Fd terminal_;  ///< the master of its terminal
  std::optional<int> status_;
  std::unique_ptr<OutputCollector> out_;
  std::unique_ptr<OutputCollector> err_;
};

struct Finished {
  int status;
  std::string out;
  std::string err;
};

/// Runs a program to its end. Throws when it does not end within `deadline`.
Finished run_program(std::vector<std::string> argv, const ProcessOptions& options = {},
                     milliseconds deadline = kPatience);

/// Lifts this process's soft limit of open files to the hard one and returns it. Children inherit it.
std::uint64_t raise_descriptor_limit();

/// True when `program` is found in PATH.
bool have_program(std::string_view program);

}  // namespace weir::test
