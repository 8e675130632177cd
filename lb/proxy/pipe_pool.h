#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "lb/base/fd.h"
#include "lb/proxy/descriptors.h"

namespace weir {

/// A pipe that splice() moves bytes through, and how many are in it.
struct Pipe {
  Fd read_end;
  Fd write_end;
  std::size_t capacity;
  std::size_t bytes = 0;
};

/// What the pipes of all workers together may take: buffers and descriptors. Any thread; lock-free.
class PipeAllowance {
 public:
  /// The kernel grants an ordinary user 64 MiB of pipe buffers in all and then denies larger pipes
  /// (pipe-user-pages-soft): the workers together stay below that.
  static constexpr std::size_t kTotalBytes = 48 * 1024 * 1024;
  /// Up to here large pipes are granted.
  static constexpr std::size_t kBytesForLarge = 32 * 1024 * 1024;

  explicit PipeAllowance(Descriptors& descriptors) : descriptors_(descriptors) {}

  bool take(std::size_t bytes);
  void give(std::size_t bytes);
  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  bool has_room_for_large() const { return bytes() < kBytesForLarge; }

 private:
  Descriptors& descriptors_;
  alignas(64) std::atomic<std::size_t> bytes_{0};
};

/// One worker's pipes: made on demand as far as the allowance goes, kept for the next bulk session, and given
/// back when they have been idle for a while or when descriptors run short. The worker's thread only.
class PipePool {
 public:
  /// A flow that is marked (Pump::mark) moves so much at once; an ordinary user may have no larger ones
  /// (fs.pipe-max-size).
  static constexpr std::size_t kLargePipeBytes = 1024 * 1024;
  /// When many are in use: more fit under the cap. Smaller ones are slower.
  static constexpr std::size_t kPipeBytes = 256 * 1024;
  static constexpr std::uint64_t kIdleMs = 10'000;

  explicit PipePool(PipeAllowance& allowance) : allowance_(allowance) {}
  /// Every pipe that was taken has come back before.
  ~PipePool() { release_idle(); }
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  /// An empty pipe; null when the allowance is spent or the kernel grants none: the caller then copies.
  std::unique_ptr<Pipe> take();
  /// Takes one back. One with bytes in it is closed.
  void give(std::unique_ptr<Pipe> pipe);

  /// Tells the time, once a turn at least while there are idle pipes, and closes what has been idle for
  /// kIdleMs.
  /// True when there was one.
  bool tick(std::uint64_t now_ms) {
    now_ms_ = now_ms;
    return !idle_.empty() && now_ms >= idle_.front().since_ms + kIdleMs && close_old();
  }
  /// Closes all idle ones. True when there was one.
  bool release_idle();

  /// When the next one will have been idle for long enough; nothing when none is.
  std::optional<std::uint64_t> due_ms() const {
    return idle_.empty() ? std::nullopt : std::optional(idle_.front().since_ms + kIdleMs);
  }
  std::size_t idle() const { return idle_.size(); }
  std::size_t in_use() const { return made_ - idle_.size(); }

 private:
  struct Idle {
    std::unique_ptr<Pipe> pipe;
    std::uint64_t since_ms;
  };
  bool close_old();
  void close(std::unique_ptr<Pipe> pipe);
  /// Null when the allowance or the kernel does not grant it.
  std::unique_ptr<Pipe> make(std::size_t bytes);

  PipeAllowance& allowance_;
  std::size_t made_ = 0;
  std::size_t denied_for_ = 0;  ///< calls of take() to go before the kernel is asked again
  std::uint64_t now_ms_ = 0;
  std::deque<Idle> idle_;  ///< the one that has been idle for longest first
};

}  // namespace weir
