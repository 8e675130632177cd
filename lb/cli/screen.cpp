#include "lb/cli/screen.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace weir {

namespace {

// The other screen, no cursor, and back (xterm's; what does not know them ignores them).
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";
constexpr std::array kOurs{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

/// A terminal that takes nothing for now is waited for.
bool write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(STDOUT_FILENO, text.data(), text.size());
    if (wrote >= 0) {
      text.remove_prefix(static_cast<std::size_t>(wrote));
    } else if (errno == EAGAIN) {
      pollfd ready{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool Screen::possible() {
  const char* const term = std::getenv("TERM");
  const std::string_view name = term != nullptr ? term : "";
  return ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0 && !name.empty() && name != "dumb" &&
         name != "unknown";
}

Screen::Screen() {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int one : kOurs) sigaddset(&ours, one);
  sigprocmask(SIG_BLOCK, &ours, &before_);
  signals_ = Fd(::signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK));
  ::tcgetattr(STDIN_FILENO, &found_);
  enter();
}

Screen::~Screen() {
  leave();
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

void Screen::enter() {
  termios keys = found_;
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  // Ctrl-S would stop the writing, and with it the reading of keys; "\r" is Enter either way.
  keys.c_iflag &= ~static_cast<tcflag_t>(IXON | ICRNL);
  keys.c_cc[VMIN] = 0;
  keys.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
  write_all(kEnter);
}

void Screen::leave() {
  write_all(kLeave);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &found_);
}

/// As Ctrl-Z does where nobody minds it; returns when the process goes on. Where it cannot be stopped (no
/// shell that would let it go on) it goes on at once.
void Screen::stop() {
  leave();
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, SIGTSTP);
  ::raise(SIGTSTP);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  sigprocmask(SIG_BLOCK, &only, nullptr);
  ::tcgetattr(STDIN_FILENO, &found_);
  enter();
}

Screen::Heard Screen::hear(bool quiet) {
  Heard out;
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    switch (info.ssi_signo) {
      case SIGTSTP:
        stop();
        out.again = true;
        break;
      case SIGCONT:
        // Stopped by a signal that cannot be caught, the shell has set the terminal as it likes it.
        enter();
        out.again = true;
        break;
      case SIGWINCH:
        out.again = true;
        break;
      default:
        out.ends = true;
    }
  }
  pollfd ready{STDIN, POLLIN, 0};
  while (has_keys_ && ::poll(&ready, 1, 0) > 0) {
    std::array<char, 256> bytes;
    const ssize_t size = ::read(STDIN, bytes.data(), bytes.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) break;
    if (size <= 0) {
      has_keys_ = false;
      out.ends = true;
      break;
    }
    quiet = false;
    for (auto& key : keys_.feed({bytes.data(), static_cast<std::size_t>(size)})) out.keys.push_back(key);
  }
  if (quiet)
    for (auto& key : keys_.flush()) out.keys.push_back(key);
  return out;
}

bool Screen::show(const std::vector<std::string>& lines) {
  std::string out = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += "\r\n";
    // Erased before it is written: after the last column there is nothing to erase but that column.
    out += "\x1b[2K";
    out += lines[i];
  }
  return write_all(out + "\x1b[J");
}

}  // namespace weir
