// Loaded into a Weir under test before its libraries: a disk that hangs, a worker that is held up, and a
// limit that is set late.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

namespace {

/// For as long as the file is there that the environment's `variable` names.
void hang_while_there(const char* variable) {
  const char* const file = std::getenv(variable);
  while (file != nullptr && ::access(file, F_OK) == 0) ::usleep(1'000);
}

}  // namespace

extern "C" int fsync(int fd) {
  hang_while_there("WEIR_TEST_HANG");
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

/// Of a TCP listener, once somebody has been accepted: the worker, for that admin connections are no TCP.
extern "C" int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  const auto accepted = static_cast<int>(::syscall(SYS_accept4, fd, address, length, flags));
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (accepted >= 0 && ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
      own.ss_family == AF_INET)
    hang_while_there("WEIR_TEST_HANG_ACCEPT");
  return accepted;
}

/// Takes its time with another process.
extern "C" int prlimit(pid_t pid, __rlimit_resource resource, const rlimit* limit, rlimit* old) noexcept {
  if (pid != 0) ::usleep(100'000);
  return static_cast<int>(::syscall(SYS_prlimit64, pid, resource, limit, old));
}
