#pragma once

#include <functional>
#include <initializer_list>

#include "lb/base/fd.h"
#include "lb/net/loop.h"

namespace weir {

/// Holds these signals back in the whole process, for SignalWatch to take. Before any thread is made; for
/// good, so that one that comes while the process ends finds no default action. (Children get an empty mask
/// from uv_spawn.)
void block_signals(std::initializer_list<int> signals);

/// SIGPIPE off for the process: splice() has no MSG_NOSIGNAL. (uv_spawn gives children the default back.)
void ignore_sigpipe();

/// Calls back on the loop's thread when the process gets `signal`, which block_signals() holds back. Several
/// of a kind that come at once are one, as ever with signals. The loop's thread only; may be destroyed by its
/// callback.
///
/// A signalfd, not libuv's signals: those restore the default action when the last watch goes, which leaves a
/// moment at the end of the process in which a second SIGTERM kills it.
class SignalWatch final : private Watcher {
 public:
  SignalWatch(Loop& loop, int signal, std::function<void()> on_signal);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  void on_events(std::uint32_t seen) override;

  Loop& loop_;
  Fd fd_;
  std::function<void()> on_signal_;
};

}  // namespace weir
