#include "lb/proxy/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

namespace weir {
namespace {

/// Asking the kernel and being denied takes four system calls: not for each read of a busy session.
constexpr std::size_t kTakesAfterDenial = 1024;

}  // namespace

std::unique_ptr<Pipe> PipePool::take() {
  if (!free_.empty()) {
    auto pipe = std::move(free_.back());
    free_.pop_back();
    return pipe;
  }
  if (made_ >= limit_) return nullptr;
  if (denied_for_ > 0) {
    --denied_for_;
    return nullptr;
  }
  denied_for_ = kTakesAfterDenial;
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
  auto pipe = std::make_unique<Pipe>(Pipe{Fd(ends[0]), Fd(ends[1]), 0});
  // A pipe of the ordinary size, which is what is left once the user's allowance is spent, would be slower
  // than copying.
  if (fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(kPipeBytes)) < static_cast<int>(kPipeBytes))
    return nullptr;
  denied_for_ = 0;
  ++made_;
  return pipe;
}

void PipePool::give(std::unique_ptr<Pipe> pipe) {
  if (pipe->bytes == 0)
    free_.push_back(std::move(pipe));
  else
    --made_;
}

}  // namespace weir
