#include "bench/load/wire.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <string_view>
#include <vector>

#include "bench/load/event_loop.h"

namespace weir::load {

namespace {

/// Packets of 9,000 bytes at most: 64 MiB, more than a path of 20 ms holds at a rate that this can carry.
constexpr std::size_t kMostHeld = 7'500;
/// So many packets of one end before the other end has its turn.
constexpr int kBatch = 64;

/// A tun device in the network namespace `file`. Leaves the calling thread there.
Result<Fd> open_device(const std::string& file, const std::string& name) {
  const Fd space(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!space || ::setns(space.get(), CLONE_NEWNET) != 0) return fail_errno(file, errno);
  Fd device(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!device) return fail_errno("/dev/net/tun", errno);
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(device.get(), TUNSETIFF, &request) != 0) return fail_errno(name, errno);
  return device;
}

class End final : public EventHandler {
 public:
  End(Fd device, Nanos delay) : device_(std::move(device)), delay_(delay) {}

  int fd() const { return device_.get(); }
  void lead_to(End& other) { other_ = &other; }
  void on_ready(std::uint32_t) override {
    std::array<char, 65536> packet;
    for (int i = 0; i < kBatch; ++i) {
      const ssize_t size = ::read(fd(), packet.data(), packet.size());
      if (size <= 0) return;
      other_->take({packet.data(), static_cast<std::size_t>(size)});
    }
  }
  /// Delivers what is due. When the next packet is.
  Nanos deliver(Nanos now) {
    for (; !held_.empty() && held_.front().due <= now; held_.pop_front()) put(held_.front().bytes);
    return held_.empty() ? kNever : held_.front().due;
  }

 private:
  struct Packet {
    Nanos due;
    std::vector<char> bytes;
  };

  void take(std::string_view packet) {
    if (delay_ == 0) return put(packet);
    if (held_.size() < kMostHeld) held_.push_back({monotonic_now() + delay_, {packet.begin(), packet.end()}});
  }
  /// What the kernel does not take is lost, as on any wire.
  void put(std::string_view packet) const { static_cast<void>(!::write(fd(), packet.data(), packet.size())); }
  void put(const std::vector<char>& packet) const { put(std::string_view(packet.data(), packet.size())); }

  Fd device_;
  const Nanos delay_;
  End* other_ = nullptr;
  std::deque<Packet> held_;
};

int complain(const Error& error) {
  fmt::print(stderr, "weir-bench: {}\n", error.message);
  return 1;
}

}  // namespace

int run_wire(const WireOptions& options) {
  auto loop = EventLoop::open();
  if (!loop) return complain(loop.error());
  auto near_device = open_device(options.near, options.device);
  if (!near_device) return complain(near_device.error());
  auto far_device = open_device(options.far, options.device);
  if (!far_device) return complain(far_device.error());
  End near_end(std::move(*near_device), options.delay), far_end(std::move(*far_device), 0);
  near_end.lead_to(far_end);
  far_end.lead_to(near_end);
  for (End* end : {&near_end, &far_end})
    if (!loop->add(end->fd(), EPOLLIN, *end)) return complain(fail_errno("epoll_ctl", errno).value());
  std::puts("wire");
  std::fflush(stdout);
  while (!loop->stop_asked()) loop->wait(near_end.deliver(monotonic_now()));
  return 0;
}

}  // namespace weir::load
