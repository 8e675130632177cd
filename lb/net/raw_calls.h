#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fcntl.h>
#include <cstddef>

/// The system calls of the hot path, without what libc does around them so that a thread can be cancelled in
/// the middle of one: Weir's are not. Results and errno are those of the functions of the same name.
/// Sanitizers and tests put themselves in place of libc's functions, so their builds call these; Release
/// builds alone do not.
namespace weir::raw {

#if defined(NDEBUG) && !defined(WEIR_SANITIZED)
inline constexpr bool kPast = true;
#else
inline constexpr bool kPast = false;
#endif

inline ssize_t recv(int fd, void* buffer, std::size_t size, int flags) {
  if constexpr (!kPast) return ::recv(fd, buffer, size, flags);
  return ::syscall(SYS_recvfrom, fd, buffer, size, flags, nullptr, nullptr);
}

inline ssize_t send(int fd, const void* buffer, std::size_t size, int flags) {
  if constexpr (!kPast) return ::send(fd, buffer, size, flags);
  return ::syscall(SYS_sendto, fd, buffer, size, flags, nullptr, 0);
}

inline ssize_t splice(int from, int to, std::size_t size, unsigned flags) {
  if constexpr (!kPast) return ::splice(from, nullptr, to, nullptr, size, flags);
  return ::syscall(SYS_splice, from, nullptr, to, nullptr, size, flags);
}

inline int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  if constexpr (!kPast) return ::accept4(fd, address, size, flags);
  return static_cast<int>(::syscall(SYS_accept4, fd, address, size, flags));
}

inline int epoll_wait(int epoll, epoll_event* events, int most, int timeout_ms) {
  if constexpr (!kPast) return ::epoll_wait(epoll, events, most, timeout_ms);
#ifdef SYS_epoll_wait
  return static_cast<int>(::syscall(SYS_epoll_wait, epoll, events, most, timeout_ms));
#else
  return static_cast<int>(::syscall(SYS_epoll_pwait, epoll, events, most, timeout_ms, nullptr, 0));
#endif
}

}  // namespace weir::raw
