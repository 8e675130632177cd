#include "lb/control/upgrade_channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace weir {

Result<std::unique_ptr<UpgradeChannel>> UpgradeChannel::create(Loop& loop, Fd fd, Heard heard) {
  fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  std::unique_ptr<UpgradeChannel> channel(new UpgradeChannel(loop, std::move(fd), std::move(heard)));
  if (auto watched = loop.watch(channel->fd_.get(), *channel, events::kReadable); !watched)
    return tl::unexpected(watched.error());
  return channel;
}

UpgradeChannel::~UpgradeChannel() {
  if (fd_) loop_.unwatch(fd_.get());
}

void UpgradeChannel::say(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  if (fd_) static_cast<void>(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL));
}

void UpgradeChannel::hang_up() {
  loop_.unwatch(fd_.get());
  fd_.reset();
  heard_(std::nullopt);
}

void UpgradeChannel::on_events(std::uint32_t) {
  if (!fd_) return;
  std::array<char, 4096> buffer;
  const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0 || received_.size() > kMostBytes) return hang_up();
  received_.append(buffer.data(), static_cast<std::size_t>(size));
  for (auto end = received_.find('\n'); end != std::string::npos; end = received_.find('\n')) {
    std::string line = received_.substr(0, end);
    received_.erase(0, end + 1);
    heard_(std::move(line));
  }
}

}  // namespace weir
