#include "tests/support/fake_backend.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <filesystem>
#include <system_error>

#include "tests/support/port.h"

namespace weir::test {
namespace {

constexpr std::size_t kKeptBytes = 1024 * 1024;
constexpr std::size_t kFloodPiece = 16 * 1024;
constexpr std::size_t kEchoBacklog = 256 * 1024;  // beyond it the backend stops reading until some is sent

std::string bound_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* generic = reinterpret_cast<sockaddr*>(&storage);
  ::getsockname(fd, generic, &size);
  return Address(generic, size).to_string();
}

[[noreturn]] void give_up(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

Fd listening_socket(const std::string& text, int backlog, const FakeBackendOptions& options = {}) {
  const Address address = to_address(text);
  if (address.is_unix()) std::filesystem::remove(std::string(address.path()));
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Connections inherit both.
  const auto set_buffer = [&fd](int name, int bytes) {
    if (bytes > 0) ::setsockopt(fd.get(), SOL_SOCKET, name, &bytes, sizeof bytes);
  };
  set_buffer(SO_RCVBUF, options.receive_buffer);
  set_buffer(SO_SNDBUF, options.send_buffer);
  if (::bind(fd.get(), address.data(), address.size()) != 0) give_up("bind " + text);
  if (::listen(fd.get(), backlog) != 0) give_up("listen " + text);
  return fd;
}

void watch(int epoll, int fd, unsigned events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

FakeBackend::FakeBackend(FakeBackendOptions options)
    : options_(std::move(options)),
      address_(options_.address),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  watch(epoll_.get(), wake_.get(), EPOLLIN);
  listen();
  address_ = bound_address(listening_.get());
  port_ = to_address(address_).port();
  thread_ = std::thread([this] { serve(); });
}

FakeBackend::~FakeBackend() {
  stopping_ = true;
  ::eventfd_write(wake_.get(), 1);
  thread_.join();
  for (std::thread& script : scripts_) script.join();
}

void FakeBackend::listen() {
  listening_ = listening_socket(address_, 4096, options_);
  watch(epoll_.get(), listening_.get(), EPOLLIN);
}

void FakeBackend::serve() {
  std::array<epoll_event, 256> events{};
  while (!stopping_) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (const auto found = connections_.find(event.data.fd); found != connections_.end()) {
        handle(found->second, event.events);
      } else if (event.data.fd == listening_.get()) {
        accept_all();
      }
    }
    eventfd_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
    std::vector<std::function<void()>> actions;
    {
      const std::lock_guard lock(mutex_);
      actions.swap(actions_);
    }
    for (const auto& action : actions) action();
  }
}

void FakeBackend::accept_all() {
  while (true) {
    Fd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    ++open_;
    ++accepted_;
    start(std::move(fd));
  }
}

void FakeBackend::start(Fd fd) {
  if (options_.script) {
    const std::lock_guard lock(mutex_);
    scripts_.emplace_back([this, stream = Stream(std::move(fd))]() mutable {
      try {
        stream.send_all(options_.greeting);
        options_.script(stream);
      } catch (const StreamError& error) {
        const std::lock_guard guard(mutex_);
        script_failures_.emplace_back(error.what());
      }
      stream.close();
      --open_;
    });
    return;
  }
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int number = fd.get();
  Connection& connection = connections_[number];
  connection.fd = std::move(fd);
  connection.unsent = options_.greeting;
  if (!flush(connection)) return;
  if (options_.then == Then::Reset) return drop(number, true);
  if (options_.then == Then::Finish) ::shutdown(number, SHUT_WR);
  const bool never_reads = options_.then == Then::Stall || options_.then == Then::Flood;
  const unsigned reading = never_reads ? 0U : static_cast<unsigned>(EPOLLIN | EPOLLRDHUP);
  watch(epoll_.get(), number, reading | EPOLLOUT | EPOLLET);
}

void FakeBackend::handle(Connection& connection, unsigned events) {
  const bool never_reads = options_.then == Then::Stall || options_.then == Then::Flood;
  if (never_reads && (events & (EPOLLERR | EPOLLHUP)) != 0) {
    if ((events & EPOLLERR) != 0) ++resets_;
    return drop(connection.fd.get(), false);
  }
  if (never_reads) {
    while (flush(connection) && connection.unsent.empty() && options_.then == Then::Flood) {
      connection.unsent.assign(kFloodPiece, 'f');
    }
    return;
  }
  // Sending makes room to read again, and reading gives more to send.
  while (flush(connection)) {
    const std::size_t before = connection.unsent.size();
    if (!read_all(connection)) return;
    if (connection.unsent.size() == before) break;
  }
}

bool FakeBackend::read_all(Connection& connection) {
  std::array<char, 65536> buffer;
  while (!connection.read_to_end && connection.unsent.size() < kEchoBacklog) {
    const ssize_t got = ::recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return true;
    if (got < 0) {
      ++resets_;
      drop(connection.fd.get(), false);
      return false;
    }
    if (got == 0) {
      connection.read_to_end = true;
      ++finished_;
      break;
    }
    const std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
    record(piece);
    if (options_.then == Then::Echo) connection.unsent += piece;
  }
  if (connection.read_to_end && connection.unsent.empty()) {
    drop(connection.fd.get(), false);
    return false;
  }
  return true;
}

bool FakeBackend::flush(Connection& connection) {
  std::size_t sent_all = 0;
  while (sent_all < connection.unsent.size()) {
    const ssize_t sent = ::send(connection.fd.get(), connection.unsent.data() + sent_all,
                                connection.unsent.size() - sent_all, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) {
      ++resets_;
      drop(connection.fd.get(), false);
      return false;
    }
    sent_all += static_cast<std::size_t>(sent);
  }
  connection.unsent.erase(0, sent_all);
  if (connection.read_to_end && connection.unsent.empty()) {
    drop(connection.fd.get(), false);
    return false;
  }
  return true;
}

void FakeBackend::drop(int fd, bool with_reset) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  if (with_reset) {
    const linger abort{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  }
  connections_.erase(found);
  --open_;
}

void FakeBackend::record(std::string_view data) {
  bytes_received_ += data.size();
  const std::lock_guard lock(mutex_);
  received_ += data.substr(0, kKeptBytes - std::min(kKeptBytes, received_.size()));
}

std::string FakeBackend::received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}

std::vector<std::string> FakeBackend::script_failures() const {
  const std::lock_guard lock(mutex_);
  return script_failures_;
}

void FakeBackend::on_thread(const std::function<void()>& action) {
  std::condition_variable done;
  bool is_done = false;
  std::unique_lock lock(mutex_);
  actions_.push_back([&] {
    action();
    const std::lock_guard guard(mutex_);
    is_done = true;
    done.notify_one();
  });
  ::eventfd_write(wake_.get(), 1);
  done.wait(lock, [&] { return is_done; });
}

void FakeBackend::stop_listening() {
  on_thread([this] { listening_.reset(); });
}

void FakeBackend::listen_again() {
  on_thread([this] {
    // A connection of somebody's may have got the port for its source meanwhile.
    for (const auto give_up = Clock::now() + kPatience;;) try {
        return listen();
      } catch (const std::system_error&) {
        if (Clock::now() > give_up) throw;
        std::this_thread::sleep_for(milliseconds(20));
      }
  });
}

void FakeBackend::reset_all() {
  on_thread([this] {
    while (!connections_.empty()) drop(connections_.begin()->first, true);
  });
}

void FakeBackend::send_all(std::string_view data) {
  on_thread([this, data] {
    std::vector<int> numbers;
    for (const auto& [number, connection] : connections_) numbers.push_back(number);
    for (const int number : numbers) {
      connections_[number].unsent += data;
      flush(connections_[number]);
    }
  });
}

BlackHole::BlackHole()
    : listening_(listening_socket("127.0.0.1:0", 0)), address_(bound_address(listening_.get())) {
  // tcp_conn_request() drops every SYN while the accept queue holds more than the backlog.
  const milliseconds one_retransmission_less(300);
  for (int i = 0; i < 8; ++i) {
    ConnectOptions options;
    options.deadline = one_retransmission_less;
    try {
      fillers_.push_back(Stream::connect(address_, options));
    } catch (const StreamError&) {
      return;
    }
  }
  throw std::runtime_error("the listening socket never filled up");
}

Stream BlackHole::accept(milliseconds deadline) {
  ::listen(listening_.get(), 128);
  while (true) {
    pollfd waiting{listening_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(deadline.count())) <= 0)
      throw StreamError("nobody connects to what was a black hole");
    Stream one(Fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
    const auto is_it = [&](const Stream& filler) { return filler.local_address() == one.peer_address(); };
    if (std::none_of(fillers_.begin(), fillers_.end(), is_it)) return one;
  }
}

RefusingPort::RefusingPort() {
  bound_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any_port = to_address("127.0.0.1:0");
  if (::bind(bound_.get(), any_port.data(), any_port.size()) != 0) give_up("bind");
  address_ = bound_address(bound_.get());
}

}  // namespace weir::test
