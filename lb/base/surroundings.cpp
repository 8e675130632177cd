#include "lb/base/surroundings.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace weir {

void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number, which is this one; opened the other way round, so that its use still fails.
    static_cast<void>(::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));
  }
}

void forget_inherited_settings() {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Of those that cannot be changed, and those that are the C library's own, the call fails.
  for (int number = 1; number <= SIGRTMAX; ++number) ::signal(number, SIG_DFL);
  const mode_t given = ::umask(022);
  ::umask((given & 077) | 022);
}

}  // namespace weir
