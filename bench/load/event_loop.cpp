#include "bench/load/event_loop.h"

#include <sys/prctl.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace weir::load {

Result<EventLoop> EventLoop::open() {
  ::signal(SIGPIPE, SIG_IGN);
  // The default of 50 µs would make every paced start late by as much.
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_errno("epoll_create1", errno);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  Fd signals(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals) return fail_errno("signalfd", errno);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, signals.get(), &event) != 0)
    return fail_errno("epoll_ctl", errno);
  return EventLoop(std::move(epoll), std::move(signals));
}

bool EventLoop::add(int fd, std::uint32_t events, EventHandler& handler) const {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void EventLoop::modify(int fd, std::uint32_t events, EventHandler& handler) const {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  WEIR_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void EventLoop::remove(int fd) const {
  WEIR_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
}

void EventLoop::wait(Nanos until) {
  timespec timeout{};
  if (until != kNever) {
    const Nanos left = until - monotonic_now();
    if (left > 0) timeout = {left / kSecond, left % kSecond};
  }
  std::array<epoll_event, 256> events;
  const int count = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   until == kNever ? nullptr : &timeout, nullptr);
  WEIR_CHECK(count >= 0 || errno == EINTR);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.ptr != nullptr) {
      static_cast<EventHandler*>(event.data.ptr)->on_ready(event.events);
      continue;
    }
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) > 0) stop_asked_ = true;
  }
}

}  // namespace weir::load
