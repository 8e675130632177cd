// Loaded into a Weir under test before its libraries: a disk that hangs, and a limit that is set late.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

/// Hangs for as long as the file is there that WEIR_TEST_HANG names.
extern "C" int fsync(int fd) {
  const char* const file = std::getenv("WEIR_TEST_HANG");
  while (file != nullptr && ::access(file, F_OK) == 0) ::usleep(1'000);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

/// Takes its time with another process.
extern "C" int prlimit(pid_t pid, __rlimit_resource resource, const rlimit* limit, rlimit* old) noexcept {
  if (pid != 0) ::usleep(100'000);
  return static_cast<int>(::syscall(SYS_prlimit64, pid, resource, limit, old));
}
