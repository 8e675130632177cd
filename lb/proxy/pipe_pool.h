#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "lb/base/fd.h"

namespace weir {

/// A pipe that splice() moves bytes through, and how many are in it.
struct Pipe {
  Fd read_end;
  Fd write_end;
  std::size_t bytes = 0;
};

/// One worker's pipes: made on demand up to a limit, kept for the next bulk session. The kernel grants an
/// ordinary user 64 MiB of pipe buffers in all and then denies larger pipes (pipe-user-pages-soft), so the
/// workers together stay below that.
class PipePool {
 public:
  /// Measured: throughput is flat from 256 KiB up; more pipes fit under the cap with the smaller size.
  static constexpr std::size_t kPipeBytes = 256 * 1024;
  /// For all workers together.
  static constexpr std::size_t kTotalBytes = 48 * 1024 * 1024;

  explicit PipePool(std::size_t workers) : limit_(kTotalBytes / kPipeBytes / (workers == 0 ? 1 : workers)) {}

  /// An empty pipe; null when all are in use or the kernel grants none: the caller then copies.
  std::unique_ptr<Pipe> take();
  /// Takes one back. One with bytes in it is closed.
  void give(std::unique_ptr<Pipe> pipe);

  std::size_t in_use() const { return made_ - free_.size(); }

 private:
  std::size_t limit_;
  std::size_t made_ = 0;
  std::size_t denied_for_ = 0;  ///< calls of take() to go before the kernel is asked again
  std::vector<std::unique_ptr<Pipe>> free_;
};

}  // namespace weir
