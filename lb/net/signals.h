#pragma once

#include <functional>
#include <memory>

#include "lb/net/loop.h"

namespace weir {

/// Calls back on the loop's thread when the process gets `signal`. The loop's thread only.
class SignalWatch {
 public:
  SignalWatch(Loop& loop, int signal, std::function<void()> on_signal);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  struct Handle;
  Handle* handle_;  // owned; freed by libuv's close callback
};

/// SIGPIPE off for the process: splice() has no MSG_NOSIGNAL. (uv_spawn gives children the default back.)
void ignore_sigpipe();

}  // namespace weir
