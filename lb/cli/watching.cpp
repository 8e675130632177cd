#include "lb/cli/watching.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <chrono>

namespace weir {

namespace {

constexpr char kEndOfText = 0x03;  // Ctrl-C, where it is no signal

}  // namespace

Watching::Watching() {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int one : {SIGINT, SIGTERM, SIGHUP, SIGCONT, SIGWINCH}) sigaddset(&ours, one);
  sigprocmask(SIG_BLOCK, &ours, &before_);
  signals_ = Fd(::signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK));
  has_keys_ = ::tcgetattr(STDIN_FILENO, &terminal_) == 0;
  take_keys();
}

Watching::~Watching() {
  if (has_keys_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_);
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

void Watching::take_keys() {
  if (!has_keys_) return;
  termios keys = terminal_;
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  keys.c_cc[VMIN] = 0;
  keys.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
}

/// Whether it says to end; nothing when there is none.
std::optional<bool> Watching::read_key() {
  char key = 0;
  if (::read(STDIN_FILENO, &key, 1) != 1) {
    has_keys_ = false;  // nobody is there any more
    return std::nullopt;
  }
  if (key == 'q' || key == 'Q' || key == kEndOfText) return true;
  return std::nullopt;
}

std::optional<bool> Watching::read_signal() {
  signalfd_siginfo info{};
  if (::read(signals_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  if (info.ssi_signo == SIGCONT) take_keys();
  return info.ssi_signo != SIGCONT && info.ssi_signo != SIGWINCH;
}

Watching::Woken Watching::wait(Millis at_most) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + at_most;
  for (auto now = Clock::now(); now < end; now = Clock::now()) {
    std::array<pollfd, 2> watched{{{signals_.get(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
    const auto left = std::chrono::ceil<Millis>(end - now);
    if (::poll(watched.data(), has_keys_ ? 2 : 1, static_cast<int>(left.count())) <= 0) continue;
    std::optional<bool> ends;
    if (watched[0].revents != 0) ends = read_signal();
    if (!ends && has_keys_ && watched[1].revents != 0) ends = read_key();
    if (ends) return *ends ? Woken::ToEnd : Woken::ToShow;
  }
  return Woken::ToShow;
}

}  // namespace weir
