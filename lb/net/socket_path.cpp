#include "lb/net/socket_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace weir {

SocketPath::SocketPath(const Address& address) {
  if (!address.has_file()) return;
  path_ = address.path();
  identity_ = look();
}

SocketPath::SocketPath(SocketPath&& other) noexcept
    : path_(std::exchange(other.path_, "")), identity_(other.identity_), owned_(other.owned_) {}

SocketPath& SocketPath::operator=(SocketPath&& other) noexcept {
  if (this == &other) return *this;
  remove();
  path_ = std::exchange(other.path_, "");
  identity_ = other.identity_;
  owned_ = other.owned_;
  return *this;
}

void SocketPath::remove() {
  if (owned_ && !path_.empty() && !lost()) ::unlink(path_.c_str());
  path_.clear();
}

std::optional<SocketPath::Identity> SocketPath::look() const {
  struct statx status {};
  if (::statx(AT_FDCWD, path_.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_INO | STATX_BTIME, &status) !=
          0 ||
      !S_ISSOCK(status.stx_mode))
    return std::nullopt;
  Identity out{.device = (std::uint64_t{status.stx_dev_major} << 32U) | status.stx_dev_minor,
               .inode = status.stx_ino};
  if ((status.stx_mask & STATX_BTIME) != 0) {
    out.born_seconds = status.stx_btime.tv_sec;
    out.born_nanoseconds = status.stx_btime.tv_nsec;
  }
  return out;
}

}  // namespace weir
