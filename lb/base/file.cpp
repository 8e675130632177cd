#include "lb/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>

#include "lb/base/fd.h"

namespace weir {

Result<std::string> read_file(const std::string& path, std::uint64_t most_bytes, Millis patience) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return fail_errno("cannot be opened", errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return fail_errno("cannot be read", errno);
  if (S_ISDIR(status.st_mode)) return fail("is a directory, not a file");
  std::string text;
  std::string chunk(64 * 1024, '\0');
  while (text.size() <= most_bytes) {
    if (!S_ISREG(status.st_mode)) {
      // Of a pipe that nobody has opened for writing yet, read() would say that it is over.
      pollfd ready{file.get(), POLLIN, 0};
      const int count = ::poll(&ready, 1, static_cast<int>(patience.count()));
      if (count < 0 && errno == EINTR) continue;
      if (count == 0)
        return fail(fmt::format("is a pipe or a device, and nothing has come out of it for {}",
                                format_duration(patience)));
    }
    const ssize_t size = ::read(file.get(), chunk.data(), chunk.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) return fail_errno("cannot be read", errno);
    if (size == 0) return text;
    text.append(chunk, 0, static_cast<std::size_t>(size));
  }
  return fail(fmt::format("is too large: at most {} MiB", most_bytes >> 20));
}

}  // namespace weir
