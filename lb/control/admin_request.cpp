#include "lb/control/admin_request.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "lb/net/socket.h"

namespace weir {

namespace {

std::string escaped(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

/// Nothing when it is no whole HTTP answer.
std::optional<HttpResponse> parse_answer(const std::string& text) {
  const auto head_end = text.find("\r\n\r\n");
  const auto space = text.find(' ');
  if (!text.starts_with("HTTP/1.") || head_end == std::string::npos || space > head_end) return std::nullopt;
  HttpResponse out;
  const char* const status = text.data() + space + 1;
  if (std::from_chars(status, text.data() + head_end, out.status).ec != std::errc()) return std::nullopt;
  out.body = text.substr(head_end + 4);
  return out;
}

}  // namespace

std::string escaped_path(const std::vector<std::string>& segments) {
  std::string out;
  for (const auto& segment : segments) out += "/" + escaped(segment);
  return out;
}

std::string escaped_query(const std::map<std::string, std::string, std::less<>>& parameters) {
  std::string out;
  for (const auto& [name, value] : parameters)
    out += fmt::format("{}{}={}", out.empty() ? "" : "&", escaped(name), escaped(value));
  return out;
}

AdminRequest::AdminRequest(Loop& loop, Done done)
    : loop_(loop), timer_(loop, [this] { finish(tl::unexpected(Failure::Late)); }), done_(std::move(done)) {}

AdminRequest::~AdminRequest() {
  if (fd_) loop_.unwatch(fd_.get());
}

void AdminRequest::send(const std::string& socket, const std::string& method, const std::string& target,
                        const std::string& body) {
  unsent_ = fmt::format("{} {} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
                        method, target, body.size(), body);
  timer_.start(kPatience);
  const auto address = Address::unix_path(socket);
  if (!address) return finish(tl::unexpected(Failure::Gone));
  auto connecting = start_connect(*address);
  if (!connecting) {
    const int code = connecting.error().code;
    const bool gone = code == ECONNREFUSED || code == ENOENT;
    return finish(tl::unexpected(gone ? Failure::Gone : Failure::NoAnswer));
  }
  fd_ = std::move(connecting->fd);
  const auto listener = HttpRequest::Peer::of(fd_.get());
  if (!listener || !listener->privileged() || (expected_ != 0 && listener->pid != expected_)) {
    fd_.reset();
    return finish(tl::unexpected(Failure::Stranger));
  }
  if (!loop_.watch(fd_.get(), *this, events::kReadable | events::kWritable | events::kEdge))
    finish(tl::unexpected(Failure::NoAnswer));
}

void AdminRequest::on_events(std::uint32_t) {
  if (fd_ && !unsent_.empty()) send_on();
  if (fd_) receive_on();
}

void AdminRequest::send_on() {
  while (!unsent_.empty()) {
    const ssize_t size = ::send(fd_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return finish(tl::unexpected(Failure::NoAnswer));
    unsent_.erase(0, static_cast<std::size_t>(size));
  }
}

void AdminRequest::receive_on() {
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0 || received_.size() > kMostBytes) return finish(tl::unexpected(Failure::NoAnswer));
    if (size == 0) break;
    received_.append(buffer.data(), static_cast<std::size_t>(size));
  }
  auto answer = parse_answer(received_);
  if (!answer) return finish(tl::unexpected(Failure::NoAnswer));
  finish(std::move(*answer));
}

void AdminRequest::finish(Outcome outcome) {
  if (std::exchange(over_, true)) return;
  timer_.stop();
  if (fd_) loop_.unwatch(fd_.get());
  fd_.reset();
  // Later, so that nobody disposes of a watcher within its batch.
  loop_.post([done = std::move(done_), outcome = std::move(outcome)] { done(outcome); });
}

}  // namespace weir
