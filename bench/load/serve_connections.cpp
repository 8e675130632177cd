#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "bench/load/serve.h"

namespace weir::load {

namespace {

/// Reads, hears its responder, writes. While output is stuck nothing is read, so a slow reader costs one
/// buffer.
class AnsweringConnection final : public ServerConnection {
 public:
  AnsweringConnection(Server& server, Fd fd, std::string_view name)
      : ServerConnection(server, std::move(fd)),
        responder_(make_responder(server.options(), name, server.pattern(), server.totals())) {}

  void start() override {
    const Responder::Answer greeting = responder_->greet();
    // Without a greeting nothing can be stuck, and one registration is all.
    if (!server_.loop().add(fd(), EPOLLIN, *this)) return server_.close(*this, true);
    if (!greeting.bytes.empty()) write(greeting.bytes);
  }

  void on_ready(std::uint32_t events) override {
    if (!stuck_.empty()) {
      if ((events & EPOLLERR) != 0) return server_.close(*this, true);
      return flush();
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read();
  }

 private:
  void read() {
    std::vector<char>& scratch = server_.scratch();
    const int flags = server_.options().truncate ? MSG_TRUNC : 0;
    const ssize_t n = ::recv(fd(), scratch.data(), scratch.size(), flags);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return server_.close(*this, n < 0);
    const auto size = static_cast<std::size_t>(n);
    server_.totals().bytes_in += size;
    if (finished_) return;  // our side has ended: what still comes is read only to let the other side end
    const Responder::Answer answer = responder_->answer({scratch.data(), size});
    finished_ = answer.close;
    if (answer.bytes.empty()) {
      end_if_finished();
      return;
    }
    write(answer.bytes);
  }

  void write(std::string_view bytes) {
    const ssize_t n = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return server_.close(*this, true);
    const auto size = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    server_.totals().bytes_out += size;
    if (size == bytes.size()) return end_if_finished();
    stuck_ = bytes.substr(size);
    server_.loop().modify(fd(), EPOLLOUT, *this);
  }

  void flush() {
    const ssize_t n = ::send(fd(), stuck_.data(), stuck_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return server_.close(*this, true);
    server_.totals().bytes_out += static_cast<std::size_t>(n);
    stuck_.erase(0, static_cast<std::size_t>(n));
    if (!stuck_.empty()) return;
    server_.loop().modify(fd(), EPOLLIN, *this);
    end_if_finished();
  }

  void end_if_finished() const {
    if (finished_) ::shutdown(fd(), SHUT_WR);
  }

  std::unique_ptr<Responder> responder_;
  std::string stuck_;
  bool finished_ = false;
};

/// Sends the pattern, flat out or paced, and discards what it hears.
class SourceConnection final : public ServerConnection, public PacedSender {
 public:
  SourceConnection(Server& server, Fd fd)
      : ServerConnection(server, std::move(fd)),
        pacer_(server.options().rate_bytes_per_second, server.options().chunk_bytes) {
    pacer_.begin(monotonic_now());
    if (paced()) server_.pace(*this);
  }
  SourceConnection(const SourceConnection&) = delete;
  SourceConnection& operator=(const SourceConnection&) = delete;
  ~SourceConnection() override {
    if (paced()) server_.stop_pacing(*this);
  }

  void start() override {
    if (!server_.loop().add(fd(), interest(), *this)) close(true);
  }

  void on_ready(std::uint32_t events) override {
    if ((events & EPOLLERR) != 0) return close(true);
    if ((events & EPOLLIN) != 0 && !discard()) return;
    if ((events & EPOLLOUT) != 0) send(kBufferBytes);
  }

  Nanos next_due() const override { return closed_ || all_sent_ ? kNever : pacer_.next(); }

  void send_due(Nanos now) override {
    // A full socket loses its turn; the pacer keeps what it is owed, up to a bound.
    if (!pacer_.may_move(now)) return;
    const std::size_t moved = send(server_.options().chunk_bytes);
    pacer_.moved(moved > 0 ? moved : server_.options().chunk_bytes / 16);
  }

 private:
  static constexpr std::size_t kBufferBytes = 256 * 1024;

  bool paced() const { return server_.options().rate_bytes_per_second > 0; }
  std::uint32_t interest() const {
    std::uint32_t events = 0;
    if (!input_ended_) events |= EPOLLIN;
    if (!paced() && !all_sent_) events |= EPOLLOUT;
    return events;
  }

  void close(bool error) {
    if (closed_) return;
    closed_ = true;
    server_.close(*this, error);
  }

  // False: the connection is closed.
  bool discard() {
    std::vector<char>& scratch = server_.scratch();
    const ssize_t n = ::recv(fd(), scratch.data(), scratch.size(), MSG_TRUNC);
    if (n > 0) server_.totals().bytes_in += static_cast<std::size_t>(n);
    if (n > 0 || (n < 0 && errno == EAGAIN)) return true;
    if (n < 0 || all_sent_) {
      close(n < 0);
      return false;
    }
    input_ended_ = true;
    server_.loop().modify(fd(), interest(), *this);
    return true;
  }

  std::size_t send(std::size_t most) {
    if (closed_ || all_sent_) return 0;
    const auto& limit = server_.options().bytes;
    if (limit) most = std::min<std::uint64_t>(most, *limit - sent_);
    const std::string_view piece = server_.pattern().at(sent_, most);
    const ssize_t n = ::send(fd(), piece.data(), piece.size(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno != EAGAIN) close(true);
      return 0;
    }
    sent_ += static_cast<std::size_t>(n);
    server_.totals().bytes_out += static_cast<std::size_t>(n);
    if (limit && sent_ == *limit) end();
    return static_cast<std::size_t>(n);
  }

  void end() {
    all_sent_ = true;
    ::shutdown(fd(), SHUT_WR);
    if (input_ended_) return close(false);
    server_.loop().modify(fd(), interest(), *this);
  }

  Pacer pacer_;
  std::uint64_t sent_ = 0;
  bool input_ended_ = false;
  bool all_sent_ = false;
  bool closed_ = false;
};

}  // namespace

std::unique_ptr<ServerConnection> make_answering_connection(Server& server, Fd fd, std::string_view name) {
  return std::make_unique<AnsweringConnection>(server, std::move(fd), name);
}

std::unique_ptr<ServerConnection> make_source_connection(Server& server, Fd fd) {
  return std::make_unique<SourceConnection>(server, std::move(fd));
}

}  // namespace weir::load
