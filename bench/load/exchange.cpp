#include "bench/load/exchange.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace weir::load {

Step Exchange::send(int fd, const Pattern& pattern) {
  while (!all_sent()) {
    const std::size_t of_preface = std::min(sent_, shape_.preface.size());
    const std::string_view preface = shape_.preface.substr(of_preface);
    const std::string_view request = pattern.at(offset_, shape_.request_bytes).substr(sent_ - of_preface);
    std::array<iovec, 2> parts{iovec{const_cast<char*>(preface.data()), preface.size()},
                               iovec{const_cast<char*>(request.data()), request.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN) return Step::Waiting;
      return fail(kind_of_errno(errno, sent_ == 0));
    }
    sent_ += static_cast<std::size_t>(n);
  }
  return Step::Done;
}

Step Exchange::receive(int fd, const Pattern& pattern, std::span<char> scratch, bool to_the_end) {
  // An answer of another length than the request is not an echo: it is the pattern from its beginning.
  const std::uint64_t offset = shape_.answer_bytes == shape_.request_bytes ? offset_ : 0;
  for (;;) {
    // One byte more than expected is asked for, so that an answer that is too long shows.
    const std::size_t wanted = std::min(scratch.size(), shape_.answer_bytes - received_ + 1);
    const ssize_t n = ::recv(fd, scratch.data(), wanted, 0);
    if (n < 0) {
      if (errno == EAGAIN) return Step::Waiting;
      return fail(kind_of_errno(errno, sent_ == 0));
    }
    if (n == 0) {
      const bool complete = shape_.until_end && received_ == shape_.answer_bytes;
      return complete ? Step::Done : fail(ErrorKind::EarlyEnd);
    }
    const auto size = static_cast<std::size_t>(n);
    if (received_ + size > shape_.answer_bytes) return fail(ErrorKind::WrongBytes);
    const std::string_view expected = pattern.at(offset, shape_.answer_bytes).substr(received_, size);
    if (std::memcmp(scratch.data(), expected.data(), size) != 0) return fail(ErrorKind::WrongBytes);
    received_ += size;
    if (received_ == shape_.answer_bytes && !shape_.until_end) return Step::Done;
    if (size < wanted && !to_the_end) return Step::Waiting;
  }
}

}  // namespace weir::load
