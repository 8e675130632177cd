#include "lb/net/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

namespace weir {
namespace {

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

}  // namespace

void block_signals(std::initializer_list<int> signals) {
  const sigset_t set = set_of(signals);
  WEIR_CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
}

void ignore_sigpipe() {
  std::signal(SIGPIPE, SIG_IGN);
}

SignalWatch::SignalWatch(Loop& loop, int signal, std::function<void()> on_signal)
    : loop_(loop), on_signal_(std::move(on_signal)) {
  const sigset_t set = set_of({signal});
  fd_ = Fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  WEIR_CHECK(fd_);
  WEIR_CHECK(loop_.watch(fd_.get(), *this, events::kReadable).has_value());
}

SignalWatch::~SignalWatch() {
  loop_.unwatch(fd_.get());
}

void SignalWatch::on_events(std::uint32_t) {
  signalfd_siginfo info;
  if (read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return;
  // A copy: the callback may destroy the watch.
  const auto on_signal = on_signal_;
  on_signal();
}

}  // namespace weir
