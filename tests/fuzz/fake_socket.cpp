#include "tests/fuzz/fake_socket.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <vector>

#include "lb/net/loop.h"

namespace weir::fuzz {
namespace {

/// The far end's bytes that the kernel takes before the session reads them.
constexpr std::size_t kReceiveBuffer = 256 * 1024;

std::array<FakeSocket*, 3>& sockets() {
  static std::array<FakeSocket*, 3> all{};  // two, and one that takes the place of another
  return all;
}

std::uint8_t pattern(unsigned direction, std::uint64_t at) {
  return static_cast<std::uint8_t>((at * 131 + (at >> 8) * 17 + (at >> 16) * 7) ^ (direction * 0x5bU));
}

}  // namespace

FakeSocket::Trouble FakeSocket::next_trouble = Trouble::None;
bool FakeSocket::splice_refused = false;

FakeSocket::FakeSocket(unsigned direction, bool is_unix, std::size_t send_buffer)
    : fd_(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
      number_(fd_.get()),
      direction_(direction),
      unix_(is_unix),
      send_buffer_(send_buffer) {
  *std::ranges::find(sockets(), nullptr) = this;
}

FakeSocket::~FakeSocket() {
  *std::ranges::find(sockets(), this) = nullptr;
}

FakeSocket* FakeSocket::find(int fd) {
  for (FakeSocket* const socket : sockets())
    if (socket != nullptr && socket->number_ == fd) return socket;
  return nullptr;
}

void FakeSocket::blame(std::string what) {
  if (fault_.empty()) fault_ = std::move(what);
}

void FakeSocket::far_sends(std::size_t bytes) {
  if (far_finished_ || far_reset_) return;
  far_sent_ +=
      std::min<std::uint64_t>(bytes, kReceiveBuffer - std::min<std::uint64_t>(unread(), kReceiveBuffer));
  news_ = true;
}

void FakeSocket::far_finishes() {
  if (far_finished_ || far_reset_) return;
  far_finished_ = true;
  news_ = true;
}

void FakeSocket::far_resets() {
  if (far_reset_) return;
  reset_after_fin_ = far_finished_;
  far_reset_ = true;
  news_ = true;
  if (!unix_) error_ = far_finished_ ? EPIPE : ECONNRESET;
  // A unix socket is closed: that is a FIN, unless something was left unread.
  if (unix_ && unsent() > 0) error_ = ECONNRESET;
  if (unix_) far_finished_ = reset_after_fin_ = true;
}

void FakeSocket::far_reads(std::size_t bytes) {
  read_far_ += std::min<std::uint64_t>(bytes, unsent());
  // A third of the buffer has to be free before the kernel says so.
  if (!wants_room_ || unsent() * 3 > send_buffer_ * 2) return;
  wants_room_ = false;
  news_ = true;
}

std::uint32_t FakeSocket::take_news() {
  news_ = false;
  std::uint32_t seen = 0;
  if (unread() > 0 || far_finished_ || far_reset_) seen |= events::kReadable;
  if (far_finished_ || far_reset_) seen |= events::kPeerClosed;
  if (far_reset_ || (far_finished_ && shut_)) seen |= events::kHangUp;
  if (error_ != 0) seen |= events::kError;
  if (far_reset_ || shut_ || unsent() * 3 <= send_buffer_ * 2) seen |= events::kWritable;
  return seen;
}

long FakeSocket::fail_with(int error) {
  errno = error;
  return -1;
}

bool FakeSocket::take_trouble(Trouble which) {
  if (next_trouble != which) return false;
  next_trouble = Trouble::None;
  return true;
}

std::size_t FakeSocket::readable(std::size_t size) {
  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(size, unread()));
  // TCP's reads take what there is.
  return unix_ && most > 1 && take_trouble(Trouble::Short) ? most / 2 : most;
}

long FakeSocket::end_of_reading() {
  if (error_ != 0) return fail_with(std::exchange(error_, 0));
  if (far_finished_ || far_reset_) return 0;
  return fail_with(EAGAIN);
}

long FakeSocket::receive(void* to, std::size_t size, int flags) {
  if (take_trouble(Trouble::Interrupted)) return fail_with(EINTR);
  if (take_trouble(Trouble::NoMemory)) return fail_with(ENOMEM);
  const std::size_t got = readable(size);
  if (got == 0) return end_of_reading();
  if ((flags & MSG_TRUNC) == 0)
    for (std::size_t i = 0; i < got; ++i) static_cast<std::uint8_t*>(to)[i] = pattern(direction_, read_ + i);
  if ((flags & MSG_PEEK) == 0) read_ += got;
  return static_cast<long>(got);
}

long FakeSocket::send(const void* from, std::size_t size) {
  if (take_trouble(Trouble::Interrupted)) return fail_with(EINTR);
  if (take_trouble(Trouble::NoMemory)) return fail_with(ENOBUFS);
  if (shut_) blame("bytes are sent behind a FIN");
  if (error_ != 0) return fail_with(std::exchange(error_, 0));
  if (far_reset_) return fail_with(EPIPE);
  std::size_t room = send_buffer_ - std::min<std::size_t>(send_buffer_, unsent());
  if (room > 1 && take_trouble(Trouble::Short)) room /= 2;
  if (room == 0) {
    wants_room_ = true;
    return fail_with(EAGAIN);
  }
  return take(from, std::min(room, size));
}

long FakeSocket::take(const void* from, std::size_t size) {
  const auto* const bytes = static_cast<const std::uint8_t*>(from);
  for (std::size_t i = 0; i < size; ++i)
    if (bytes[i] != pattern(direction_ ^ 1U, written_ + i)) blame("a byte is another, lost or there twice");
  written_ += size;
  return static_cast<long>(size);
}

long FakeSocket::splice_out(int pipe, std::size_t size) {
  if (splice_refused) return fail_with(EINVAL);
  if (take_trouble(Trouble::Interrupted)) return fail_with(EINTR);
  std::vector<std::uint8_t> bytes(readable(size));
  if (bytes.empty()) return end_of_reading();
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = pattern(direction_, read_ + i);
  const ssize_t put = ::write(pipe, bytes.data(), bytes.size());
  if (put > 0) read_ += static_cast<std::uint64_t>(put);
  return put;
}

long FakeSocket::splice_in(int pipe, std::size_t size) {
  if (splice_refused) return fail_with(EINVAL);
  if (take_trouble(Trouble::Interrupted)) return fail_with(EINTR);
  if (error_ != 0) return fail_with(std::exchange(error_, 0));
  if (far_reset_ || shut_) return fail_with(EPIPE);
  const std::size_t room = send_buffer_ - std::min<std::size_t>(send_buffer_, unsent());
  if (room == 0) {
    wants_room_ = true;
    return fail_with(EAGAIN);
  }
  std::vector<std::uint8_t> bytes(std::min(room, size));
  const ssize_t got = ::read(pipe, bytes.data(), bytes.size());
  return got <= 0 ? got : take(bytes.data(), static_cast<std::size_t>(got));
}

int FakeSocket::shut_down() {
  if (far_reset_) return static_cast<int>(fail_with(ENOTCONN));
  shut_ = true;
  news_ = true;
  return 0;
}

int FakeSocket::take_error() {
  return std::exchange(error_, 0);
}

}  // namespace weir::fuzz

// The calls of the code that is tried: those of fake sockets end here, all others go on.
// NOLINTBEGIN: the linker chooses these names.
using weir::fuzz::FakeSocket;

extern "C" {
ssize_t __real_recv(int fd, void* to, size_t size, int flags);
ssize_t __real_send(int fd, const void* from, size_t size, int flags);
ssize_t __real_splice(int in, off64_t* in_at, int out, off64_t* out_at, size_t size, unsigned flags);
int __real_shutdown(int fd, int how);
int __real_setsockopt(int fd, int level, int name, const void* value, socklen_t size);
int __real_getsockopt(int fd, int level, int name, void* value, socklen_t* size);
int __real_ioctl(int fd, unsigned long request, void* argument);

ssize_t __wrap_recv(int fd, void* to, size_t size, int flags) {
  FakeSocket* const socket = FakeSocket::find(fd);
  return socket != nullptr ? socket->receive(to, size, flags) : __real_recv(fd, to, size, flags);
}

ssize_t __wrap_send(int fd, const void* from, size_t size, int flags) {
  FakeSocket* const socket = FakeSocket::find(fd);
  return socket != nullptr ? socket->send(from, size) : __real_send(fd, from, size, flags);
}

ssize_t __wrap_splice(int in, off64_t* in_at, int out, off64_t* out_at, size_t size, unsigned flags) {
  if (FakeSocket* const socket = FakeSocket::find(in)) return socket->splice_out(out, size);
  if (FakeSocket* const socket = FakeSocket::find(out)) return socket->splice_in(in, size);
  return __real_splice(in, in_at, out, out_at, size, flags);
}

int __wrap_shutdown(int fd, int how) {
  FakeSocket* const socket = FakeSocket::find(fd);
  return socket != nullptr ? socket->shut_down() : __real_shutdown(fd, how);
}

int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  FakeSocket* const socket = FakeSocket::find(fd);
  if (socket == nullptr) return __real_setsockopt(fd, level, name, value, size);
  if (level == SOL_SOCKET && name == SO_LINGER) socket->close_with_reset();
  return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size) {
  FakeSocket* const socket = FakeSocket::find(fd);
  if (socket == nullptr) return __real_getsockopt(fd, level, name, value, size);
  *static_cast<int*>(value) =
      name == SO_DOMAIN ? (socket->is_unix() ? AF_UNIX : AF_INET) : socket->take_error();
  return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  FakeSocket* const socket = FakeSocket::find(fd);
  if (socket == nullptr) return __real_ioctl(fd, request, argument);
  *static_cast<int*>(argument) = static_cast<int>(socket->unsent());
  return 0;
}
}
// NOLINTEND
