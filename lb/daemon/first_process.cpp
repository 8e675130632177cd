#include "lb/daemon/first_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

namespace {

/// What a process of Weir says to the first one. Less than PIPE_BUF: whole, however many say something.
struct Word {
  pid_t pid;
  int ended;  ///< 0: it serves
  int exit_status;
};

void say(const Fd& fd, const Word& word) {
  if (!fd) return;
  const auto written = ::write(fd.get(), &word, sizeof word);
  static_cast<void>(written);  // whom it would reach has gone
}

/// All but the standard ones and these two, which are not the same.
void close_others(int one, int other) {
  const auto close_between = [](unsigned first, unsigned last) {
    if (first <= last) ::close_range(first, last, 0);
  };
  const auto low = static_cast<unsigned>(std::min(one, other)),
             high = static_cast<unsigned>(std::max(one, other));
  close_between(STDERR_FILENO + 1, low - 1);
  close_between(low + 1, high - 1);
  close_between(high + 1, ~0U);
}

class FirstProcess {
 public:
  FirstProcess(Fd told, Fd signals, pid_t serving)
      : told_(std::move(told)), signals_(std::move(signals)), serving_(serving), all_{serving} {}

  /// The exit status.
  int run() {
    for (;;) {
      std::array<pollfd, 2> wanted{{{told_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
      if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;
      if (wanted[1].revents != 0) take_signals();
      if (wanted[0].revents != 0 && !hear()) break;
    }
    // The last one may not have been reaped yet.
    int status = 0;
    if (::waitpid(serving_, &status, 0) == serving_) ended(serving_, exit_status_of(status));
    return exit_status_;
  }

 private:
  void take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      pass_on(static_cast<int>(info.ssi_signo));
    }
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG))
      ended(pid, exit_status_of(status));
  }

  static int exit_status_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  void ended(pid_t pid, int exit_status) {
    if (pid == serving_) exit_status_ = exit_status;
    std::erase(all_, pid);
  }

  /// The end is for all: the old processes' sessions have shutdown_grace, too.
  void pass_on(int number) {
    if (number == SIGCHLD) return;
    if (number != SIGTERM && number != SIGINT) {
      ::kill(serving_, number);
      return;
    }
    for (const pid_t pid : all_) ::kill(pid, number);
  }

  /// False when no process of Weir is left.
  bool hear() {
    Word word{};
    const ssize_t size = ::read(told_.get(), &word, sizeof word);
    if (size != sizeof word) return size != 0;
    if (word.ended != 0) {
      ended(word.pid, word.exit_status);
    } else if (word.pid != serving_) {
      serving_ = word.pid;
      all_.push_back(word.pid);
    }
    return true;
  }

  Fd told_;
  Fd signals_;
  pid_t serving_;
  std::vector<pid_t> all_;  ///< processes of Weir, as far as they are not known to have ended
  int exit_status_ = 0;
};

}  // namespace

Result<Fd> split_off_first_process() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("as process 1: cannot make a pipe", errno);
  Fd told(ends[0]), tells(ends[1]);
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  Fd signals(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return fail_errno("as process 1: cannot watch for signals", errno);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("as process 1: cannot make a second process", errno);
  if (child == 0) {
    // A terminal's signals go to the first process alone, which passes them on: once.
    ::setpgid(0, 0);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    const std::string own = std::to_string(::getpid());
    for (const char* name : {"LISTEN_PID", "WATCHDOG_PID"}) {
      const char* const meant = std::getenv(name);
      if (meant != nullptr && std::string_view(meant) == "1") ::setenv(name, own.c_str(), 1);
    }
    return tells;
  }
  close_others(told.get(), signals.get());
  static_cast<void>(tells.release());
  ::_exit(FirstProcess(std::move(told), std::move(signals), child).run());
}

void tell_first_process(const Fd& fd) {
  say(fd, {::getpid(), 0, 0});
}

void tell_first_process_of_end(const Fd& fd, pid_t pid, int exit_status) {
  say(fd, {pid, 1, exit_status});
}

}  // namespace weir
