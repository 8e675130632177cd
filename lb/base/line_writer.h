#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace weir {

/// Writes lines to a descriptor, or elsewhere, from a thread of its own, so that nobody who reads it, or does
/// not, can hold up whoever has something to say. Bounded: what does not fit is dropped and counted, and the
/// count is a line of its own once there is room again. Other processes may write to the same pipe: lines
/// stay whole.
class LineWriter {
 public:
  /// What may wait to be written.
  static constexpr std::size_t kMostBytes = 1 << 20;

  struct Outlet {
    /// Writes whole lines, and blocks for as long as it takes. On the writer's thread; returns how many of
    /// them were lost.
    std::function<std::uint64_t(std::string_view lines)> write;
    /// The line that says how many were lost, with its newline.
    std::function<std::string(std::uint64_t lost)> lost;
  };
  explicit LineWriter(Outlet outlet);
  /// To a descriptor, which is borrowed and outlives the process's last line.
  explicit LineWriter(int fd);
  /// The thread stays behind, since nobody can make a system call on a dead disk return; flush() before.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  /// With its newline. Any thread; never waits for the descriptor.
  void put(std::string_view line);
  /// Waits until all that has been put is written, or nobody takes it for so long.
  void flush(std::chrono::milliseconds patience);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Blocks until all is written, or the descriptor takes nothing any more for good.
void write_lines(int fd, std::string_view lines);
/// What a log says when nobody has taken so many of its lines.
std::string lost_lines_text(std::uint64_t lost);

/// The beginning of `lines` that a pipe which poll() calls writable takes at once and as a whole (POSIX:
/// PIPE_BUF); whole lines as far as they fit.
std::string_view first_atomic_write(std::string_view lines);

}  // namespace weir
