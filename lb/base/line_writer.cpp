#include "lb/base/line_writer.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "lb/base/log.h"

namespace weir {
namespace {

constexpr std::size_t kPipeWriteBytes = 4096;

}  // namespace

void write_lines(int fd, std::string_view lines) {
  while (!lines.empty()) {
    pollfd ready{fd, POLLOUT, 0};
    // Non-blocking, if the descriptor's other owners have made it so.
    if (::poll(&ready, 1, -1) < 0 && errno != EINTR) return;
    const ssize_t wrote = ::write(fd, lines.data(), first_atomic_write(lines).size());
    if (wrote >= 0)
      lines.remove_prefix(static_cast<std::size_t>(wrote));
    else if (errno != EINTR && errno != EAGAIN)
      return;
  }
}

std::string lost_lines_text(std::uint64_t lost) {
  return fmt::format("{} lines of this log were dropped: nobody took them", lost);
}

std::string_view first_atomic_write(std::string_view lines) {
  if (lines.size() <= kPipeWriteBytes) return lines;
  const auto last = lines.rfind('\n', kPipeWriteBytes - 1);
  return lines.substr(0, last == std::string_view::npos ? kPipeWriteBytes : last + 1);
}

struct LineWriter::State {
  const Outlet outlet;
  std::mutex mutex;  // guards all that follows; never held over a system call on the descriptor
  std::condition_variable changed;
  std::string waiting;
  std::uint64_t dropped = 0;
  bool writing = false;
  bool over = false;

  explicit State(Outlet to) : outlet(std::move(to)) {}

  void run() {
    std::string batch;
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return !waiting.empty() || over; });
      if (waiting.empty()) return;
      batch.clear();
      std::swap(batch, waiting);
      if (const std::uint64_t lost = std::exchange(dropped, 0); lost > 0) batch += outlet.lost(lost);
      writing = true;
      lock.unlock();
      const std::uint64_t lost_now = outlet.write(batch);
      lock.lock();
      dropped += lost_now;
      writing = false;
      changed.notify_all();
    }
  }
};

LineWriter::LineWriter(int fd)
    : LineWriter(Outlet{[fd](std::string_view lines) {
                          write_lines(fd, lines);
                          return std::uint64_t{0};
                        },
                        [](std::uint64_t lost) {
                          return fmt::format("{} warning {}\n", format_time(std::chrono::system_clock::now()),
                                             lost_lines_text(lost));
                        }}) {}

LineWriter::LineWriter(Outlet outlet) : state_(std::make_shared<State>(std::move(outlet))) {
  // The process's signals are not this thread's, and a reader that has gone is an errno to it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([state = state_] { state->run(); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LineWriter::~LineWriter() {
  const std::lock_guard lock(state_->mutex);
  state_->over = true;
  state_->changed.notify_all();
}

void LineWriter::put(std::string_view line) {
  const std::lock_guard lock(state_->mutex);
  if (state_->waiting.size() + line.size() > kMostBytes)
    ++state_->dropped;
  else
    state_->waiting += line;
  state_->changed.notify_all();
}

void LineWriter::flush(std::chrono::milliseconds patience) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, patience, [this] { return state_->waiting.empty() && !state_->writing; });
}

}  // namespace weir
