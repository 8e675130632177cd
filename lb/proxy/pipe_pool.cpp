#include "lb/proxy/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace weir {
namespace {

/// Asking the kernel and being denied takes four system calls: not for each read of a busy session.
constexpr std::size_t kTakesAfterDenial = 1024;

}  // namespace

bool PipeAllowance::take(std::size_t bytes) {
  std::size_t seen = bytes_.load(std::memory_order_relaxed);
  do {
    if (seen + bytes > kTotalBytes) return false;
  } while (!bytes_.compare_exchange_weak(seen, seen + bytes));
  if (descriptors_.take_for_pipe()) return true;
  bytes_.fetch_sub(bytes);
  return false;
}

void PipeAllowance::give(std::size_t bytes) {
  descriptors_.give(Descriptors::kOfPipe);
  bytes_.fetch_sub(bytes);
}

std::unique_ptr<Pipe> PipePool::take() {
  if (!idle_.empty()) {
    auto pipe = std::move(idle_.back().pipe);
    idle_.pop_back();
    return pipe;
  }
  if (denied_for_ > 0) {
    --denied_for_;
    return nullptr;
  }
  auto pipe = allowance_.has_room_for_large() ? make(kLargePipeBytes) : nullptr;
  if (pipe == nullptr) pipe = make(kPipeBytes);
  return pipe;
}

std::unique_ptr<Pipe> PipePool::make(std::size_t bytes) {
  if (!allowance_.take(bytes)) return nullptr;
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0) {
    auto pipe = std::make_unique<Pipe>(Pipe{Fd(ends[0]), Fd(ends[1]), bytes});
    // A pipe of the ordinary size, which is what is left once the user's allowance is spent, would be slower
    // than copying.
    if (fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(bytes)) >= static_cast<int>(bytes)) {
      ++made_;
      return pipe;
    }
  }
  allowance_.give(bytes);
  if (bytes == kPipeBytes) denied_for_ = kTakesAfterDenial;
  return nullptr;
}

void PipePool::give(std::unique_ptr<Pipe> pipe) {
  if (pipe->bytes == 0)
    idle_.push_back({std::move(pipe), now_ms_});
  else
    close(std::move(pipe));
}

void PipePool::close(std::unique_ptr<Pipe> pipe) {
  const std::size_t bytes = pipe->capacity;
  pipe.reset();
  --made_;
  allowance_.give(bytes);
}

bool PipePool::close_old() {
  const std::size_t before = idle_.size();
  while (!idle_.empty() && now_ms_ >= idle_.front().since_ms + kIdleMs) {
    auto pipe = std::move(idle_.front().pipe);
    idle_.pop_front();
    close(std::move(pipe));
  }
  return idle_.size() < before;
}

bool PipePool::release_idle() {
  const bool any = !idle_.empty();
  while (!idle_.empty()) {
    auto pipe = std::move(idle_.back().pipe);
    idle_.pop_back();
    close(std::move(pipe));
  }
  return any;
}

}  // namespace weir
