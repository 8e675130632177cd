#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lb/net/loop.h"

struct uv_process_s;  // libuv's

namespace weir {

struct SpawnOptions {
  std::vector<std::string> command;      ///< path and arguments; no shell
  std::vector<std::string> environment;  ///< "NAME=value", the whole environment of the child
  /// Descriptors the child gets: (number there, borrowed descriptor here). 0, 1 and 2 not named are
  /// /dev/null.
  std::vector<std::pair<int, int>> descriptors;
  bool own_process_group = false;  ///< so that kill() reaches what the child starts
  /// The child's soft limit on open files, before it runs the command; nothing = this process's.
  std::optional<std::uint64_t> descriptor_limit = {};
};

/// A child process on a loop. Loop thread only. Destroying it does not kill the child; its exit is then
/// reaped unseen.
class ChildProcess {
 public:
  struct Exit {
    int status = 0;  ///< exit status, when signal is 0
    int signal = 0;
  };
  static Result<std::unique_ptr<ChildProcess>> spawn(Loop& loop, const SpawnOptions& options,
                                                     std::function<void(Exit)> on_exit);
  ~ChildProcess();

  int pid() const;
  void kill(int signal);  ///< the process group when it has its own
  /// Ends with SIGKILL what the child, which has exited, has left in its own process group.
  void kill_orphans();

 private:
  friend void close_orphan(::uv_process_s* process);
  struct Handle;
  explicit ChildProcess(Handle* handle) : handle_(handle) {}
  Handle* handle_;  // owned; freed by libuv's close callback
};

}  // namespace weir
