#include "tests/support/stream.h"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/support/port.h"

namespace weir::test {
namespace {

void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

[[noreturn]] void broken(std::string_view what, int code) {
  throw StreamError(fmt::format("{}: {}", what, std::strerror(code)));
}

bool would_block(int code) {
  return code == EAGAIN || code == EINTR;
}

/// Of this or the other end; of no family when there is none.
Address name_of(decltype(::getsockname)* ask, int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* const generic = reinterpret_cast<sockaddr*>(&storage);
  ask(fd, generic, &size);
  return Address(generic, size);
}

}  // namespace

Stream Stream::begin_connect(const std::string& text, const ConnectOptions& options) {
  const Address address = to_address(text);
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) broken("socket", errno);
  if (!address.is_unix()) set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.receive_buffer > 0) set_option(fd.get(), SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
  if (options.send_buffer > 0) set_option(fd.get(), SOL_SOCKET, SO_SNDBUF, options.send_buffer);
  if (options.source) {
    if (options.source->port() == 0) set_option(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (::bind(fd.get(), options.source->data(), options.source->size()) != 0) broken("bind", errno);
  }
  if (::connect(fd.get(), address.data(), address.size()) != 0 && errno != EINPROGRESS) {
    broken("connect to " + text, errno);
  }
  return Stream(std::move(fd));
}

Stream Stream::connect(const std::string& text, const ConnectOptions& options) {
  Stream stream = begin_connect(text, options);
  if (!stream.wait(POLLOUT, Clock::now() + options.deadline))
    throw StreamError("connect to " + text + ": timed out");
  int code = 0;
  socklen_t size = sizeof code;
  ::getsockopt(stream.fd(), SOL_SOCKET, SO_ERROR, &code, &size);
  // A refusal is ECONNREFUSED: this connection has come about, and has been reset since.
  stream.reset_seen_ = code == ECONNRESET;
  if (code != 0 && !stream.reset_seen_) broken("connect to " + text, code);
  return stream;
}

std::string Stream::peer_address() const {
  return ClientAddress(name_of(::getpeername, fd_.get()).data()).to_string();
}

std::string Stream::local_address() const {
  return ClientAddress(name_of(::getsockname, fd_.get()).data()).to_string();
}

std::uint16_t Stream::local_port() const {
  return name_of(::getsockname, fd_.get()).port();
}

bool Stream::wait(short events, Clock::time_point end) const {
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now()).count();
    pollfd watched{fd_.get(), events, 0};
    const int ready = ::poll(&watched, 1, static_cast<int>(std::max<long>(left, 0)));
    if (ready > 0) return true;
    if (ready == 0 && left <= 0) return false;
  }
}

std::size_t Stream::send_some(std::string_view data) {
  const ssize_t sent = ::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && !would_block(errno)) broken("send", errno);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void Stream::send_all(std::string_view data, milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  while (!data.empty()) {
    if (!wait(POLLOUT, end)) throw StreamError(fmt::format("send: {} bytes not taken in time", data.size()));
    data.remove_prefix(send_some(data));
  }
}

void Stream::send_out_of_band(char byte) {
  if (::send(fd_.get(), &byte, 1, MSG_OOB | MSG_NOSIGNAL) != 1) broken("send out of band", errno);
}

void Stream::send_pattern(const BytePattern& pattern, std::uint64_t size, milliseconds deadline) {
  std::string piece;
  for (std::uint64_t offset = 0; offset < size; offset += piece.size()) {
    piece.resize(std::min<std::uint64_t>(size - offset, 256 * 1024));
    pattern.fill(piece, offset);
    send_all(piece, deadline);
  }
}

/// Reads at most what `buffer` holds and shrinks it to what came. Open = something came, or nothing in time.
Ending Stream::recv_piece(std::string& buffer, Clock::time_point end) {
  while (true) {
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    const int code = errno;
    buffer.resize(got > 0 ? static_cast<std::size_t>(got)
                          : (got < 0 && would_block(code) ? buffer.size() : 0));
    if (got > 0) return Ending::Open;
    if (got == 0) return reset_seen_ ? Ending::Reset : Ending::Eof;
    if (!would_block(code)) return Ending::Reset;
    if (!wait(POLLIN, end)) {
      buffer.clear();
      return Ending::Open;
    }
  }
}

std::string Stream::recv_some(std::size_t size, milliseconds deadline) {
  std::string buffer(size, '\0');
  const Ending ending = recv_piece(buffer, Clock::now() + deadline);
  if (ending == Ending::Reset) throw StreamError("receive: reset");
  if (ending == Ending::Open && buffer.empty()) throw StreamError("receive: nothing came in time");
  return buffer;
}

std::string Stream::recv_exact(std::size_t size, milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  std::string result;
  std::string piece;
  while (result.size() < size) {
    piece.resize(size - result.size());
    const Ending ending = recv_piece(piece, end);
    result += piece;
    if (ending == Ending::Open && !piece.empty()) continue;
    if (result.size() == size) break;
    const char* why = ending == Ending::Eof     ? "EOF"
                      : ending == Ending::Reset ? "reset"
                                                : "nothing more in time";
    throw StreamError(fmt::format("receive: {} after {} of {} bytes", why, result.size(), size));
  }
  return result;
}

Received Stream::recv_to_end(milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  Received result{{}, Ending::Open};
  std::string piece;
  do {
    piece.resize(65536);
    result.ending = recv_piece(piece, end);
    result.data += piece;
  } while (result.ending == Ending::Open && !piece.empty());
  return result;
}

Ending Stream::recv_to_end(PatternChecker& checker, milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  std::string piece;
  Ending ending = Ending::Open;
  do {
    piece.resize(256 * 1024);
    ending = recv_piece(piece, end);
    checker.feed(piece);
  } while (ending == Ending::Open && !piece.empty());
  return ending;
}

bool Stream::echoes(std::string_view data, milliseconds deadline) {
  send_all(data, deadline);
  return recv_exact(data.size(), deadline) == data;
}

void Stream::half_close() {
  ::shutdown(fd_.get(), SHUT_WR);
}

void Stream::reset() {
  const linger abort{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  fd_.reset();
}

std::string connect_failure(const std::string& address, milliseconds deadline) {
  try {
    ConnectOptions options;
    options.deadline = deadline;
    Stream::connect(address, options);
    return {};
  } catch (const StreamError& error) {
    return error.what();
  }
}

void send_with_descriptor(int fd, std::string_view text) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec piece{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::copy_n(reinterpret_cast<const char*>(&fd), sizeof fd, reinterpret_cast<char*>(CMSG_DATA(header)));
  if (::sendmsg(fd, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
    throw StreamError("sendmsg with a descriptor");
}

}  // namespace weir::test
