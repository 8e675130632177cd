#include "tests/support/paced_clients.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "tests/support/port.h"

namespace weir::test {

PacedClients::PacedClients(std::string address, milliseconds pause)
    : address_(std::move(address)), pause_(pause), thread_([this] { run(); }) {}

PacedClients::~PacedClients() {
  stop();
}

bool PacedClients::wait_for_more(std::size_t count) const {
  return eventually([this, goal = begun_ + count] { return begun_ >= goal; });
}

const std::vector<PacedSession>& PacedClients::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  return sessions_;
}

void PacedClients::run() {
  for (auto next = Clock::now(); !stopping_; next = std::max(next + pause_, Clock::now())) {
    read_until(next);
    begin_one();
  }
  const auto end = Clock::now() + kPatience;
  while (!open_.empty() && Clock::now() < end) read_until(Clock::now() + pause_);
  for (const Open& open : open_) {
    sessions_[open.index].ended = Clock::now();
    sessions_[open.index].failure = "it does not end";
  }
}

void PacedClients::begin_one() {
  PacedSession session;
  session.began = Clock::now();
  try {
    ConnectOptions options;
    options.source = client_source(begun_);
    Stream stream = Stream::connect(address_, options);
    session.client = stream.local_address();
    open_.push_back({std::move(stream), sessions_.size()});
    open_.back().stream.send_all("x");
    open_.back().stream.half_close();
  } catch (const StreamError& error) {
    session.ended = Clock::now();
    session.failure = error.what();
    if (!open_.empty() && open_.back().index == sessions_.size()) open_.pop_back();
  }
  sessions_.push_back(std::move(session));
  ++begun_;
}

void PacedClients::read_until(Clock::time_point end) {
  do {
    std::vector<pollfd> polled;
    polled.reserve(open_.size());
    for (const Open& open : open_) polled.push_back({open.stream.fd(), POLLIN, 0});
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now()).count();
    ::poll(polled.data(), polled.size(), static_cast<int>(std::max<decltype(left)>(left, 0)));
    std::size_t n = 0;
    std::erase_if(open_, [&](Open& open) { return polled[n++].revents != 0 && !read(open); });
  } while (Clock::now() < end);
}

bool PacedClients::read(Open& open) {
  PacedSession& session = sessions_[open.index];
  std::array<char, 256> buffer{};
  while (true) {
    const ssize_t got = ::recv(open.stream.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0) {
      session.answer.append(buffer.data(), static_cast<std::size_t>(got));
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    session.ended = Clock::now();
    if (got < 0)
      session.failure = "reset";
    else if (!session.answer.ends_with('x'))
      session.failure = "the end came before the answer";
    return false;
  }
}

}  // namespace weir::test
