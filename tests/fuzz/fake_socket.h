#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "lb/base/fd.h"

namespace weir::fuzz {

/// One of a session's two sockets as its kernel has it, and the far end that it is connected to. Has the
/// number of a descriptor that is open (/dev/null), so that whatever is not faked fails and harms nobody.
/// What is told of Linux here is what tcp_recvmsg, tcp_sendmsg, tcp_splice_read, tcp_reset and tcp_poll do.
class FakeSocket {
 public:
  /// What the kernel does beyond what the far end asks for: consumed by the next call of any socket.
  enum class Trouble : std::uint8_t { None, Interrupted, NoMemory, Short };

  /// `direction`: which pattern the far end's bytes have; what is written here has the other one's.
  FakeSocket(unsigned direction, bool is_unix, std::size_t send_buffer);
  ~FakeSocket();
  FakeSocket(const FakeSocket&) = delete;
  FakeSocket& operator=(const FakeSocket&) = delete;

  /// To be owned by the session from here on.
  Fd take_fd() { return std::move(fd_); }
  int fd() const { return number_; }

  // What the far end does.
  void far_sends(std::size_t bytes);
  void far_finishes();
  void far_resets();  ///< of a unix socket: closes
  void far_reads(std::size_t bytes);

  // What epoll says, edge-triggered: the mask, once something has happened.
  bool has_news() const { return news_; }
  std::uint32_t take_news();

  // What the session does; -1 with errno.
  long receive(void* to, std::size_t size, int flags);
  long send(const void* from, std::size_t size);
  long splice_out(int pipe, std::size_t size);
  long splice_in(int pipe, std::size_t size);
  int shut_down();
  int take_error();
  std::size_t unsent() const { return written_ - read_far_; }
  void close_with_reset() { linger_reset_ = true; }

  bool is_unix() const { return unix_; }
  bool far_finished() const { return far_finished_; }
  bool far_reset() const { return far_reset_; }
  /// Its FIN came before its reset, or there was none.
  bool far_whole() const { return far_finished_ && (!far_reset_ || reset_after_fin_); }
  bool shut() const { return shut_; }
  bool reset_on_close() const { return linger_reset_; }
  std::uint64_t far_sent() const { return far_sent_; }
  std::uint64_t written() const { return written_; }
  std::uint64_t unread() const { return far_sent_ - read_; }
  /// What the session may not do; "" = nothing of it.
  const std::string& fault() const { return fault_; }

  /// Whose number that is; null: nobody's.
  static FakeSocket* find(int fd);
  static Trouble next_trouble;
  static bool splice_refused;

 private:
  long fail_with(int error);
  bool take_trouble(Trouble which);
  std::size_t readable(std::size_t size);
  long end_of_reading();
  long take(const void* from, std::size_t size);
  void blame(std::string what);

  Fd fd_;
  const int number_;
  const unsigned direction_;
  const bool unix_;
  const std::size_t send_buffer_;
  std::uint64_t far_sent_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t read_far_ = 0;
  int error_ = 0;
  bool far_finished_ = false;
  bool far_reset_ = false;
  bool reset_after_fin_ = false;
  bool shut_ = false;
  bool wants_room_ = false;
  bool linger_reset_ = false;
  bool news_ = true;  ///< what it is when it is registered
  std::string fault_;
};

}  // namespace weir::fuzz
