#include "lb/proxy/pipe_pool.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <unistd.h>
#include <catch2/catch.hpp>

using namespace weir;

namespace {

constexpr std::size_t kLargePipes = PipeAllowance::kBytesForLarge / PipePool::kLargePipeBytes;
constexpr std::size_t kAllPipes =
    kLargePipes + (PipeAllowance::kTotalBytes - PipeAllowance::kBytesForLarge) / PipePool::kPipeBytes;

/// Takes the descriptors away while it lives: no new one can be made.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

/// One worker's pool, with an allowance of its own for that many descriptors.
struct Own {
  explicit Own(std::uint64_t limit = UINT64_MAX) { descriptors.set(limit, 0); }
  Descriptors descriptors;
  PipeAllowance allowance{descriptors};
  std::unique_ptr<PipePool> pool = std::make_unique<PipePool>(allowance);
};

bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

TEST_CASE("a pipe is empty, does not block and has the size that was asked for") {
  const Own own;
  PipePool& pool = *own.pool;
  const auto pipe = pool.take();
  REQUIRE(pipe);
  CHECK(pipe->bytes == 0);
  CHECK(fcntl(pipe->read_end.get(), F_GETPIPE_SZ) == static_cast<int>(PipePool::kLargePipeBytes));
  CHECK((fcntl(pipe->read_end.get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(pipe->write_end.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("the workers together make no more pipes than the cap holds, however many they are") {
  Descriptors descriptors;
  PipeAllowance allowance(descriptors);
  std::vector<std::unique_ptr<PipePool>> pools;
  for (int i = 0; i < 300; ++i) pools.push_back(std::make_unique<PipePool>(allowance));
  std::vector<std::unique_ptr<Pipe>> taken;
  for (bool any = true; any;) {
    any = false;
    for (auto& pool : pools)
      if (auto pipe = pool->take()) {
        taken.push_back(std::move(pipe));
        any = true;
      }
    REQUIRE(taken.size() <= kAllPipes);
  }
  REQUIRE(taken.size() == kAllPipes);
  CHECK(descriptors.taken() == 2 * kAllPipes);
  // Large ones as long as there is room, then others.
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const std::size_t bytes = i < kLargePipes ? PipePool::kLargePipeBytes : PipePool::kPipeBytes;
    CHECK(fcntl(taken[i]->read_end.get(), F_GETPIPE_SZ) == static_cast<int>(bytes));
  }
  for (std::size_t i = 0; i < taken.size(); ++i) pools[i]->give(std::move(taken[i]));
  REQUIRE_FALSE(pools.back()->take());
  // What one worker gives back, another may have: a small one, since most of the room is taken.
  REQUIRE(pools.front()->release_idle());
  CHECK(fcntl(pools.back()->take()->read_end.get(), F_GETPIPE_SZ) == static_cast<int>(PipePool::kPipeBytes));
}

TEST_CASE("an empty pipe is used again") {
  const Own own;
  PipePool& pool = *own.pool;
  auto pipe = pool.take();
  const int fd = pipe->read_end.get();
  pool.give(std::move(pipe));
  REQUIRE(pool.in_use() == 0);
  REQUIRE(pool.take()->read_end.get() == fd);
}

TEST_CASE("a pipe with bytes in it is closed and makes room for another") {
  const Own own(2);  // one pipe
  PipePool& pool = *own.pool;
  auto pipe = pool.take();
  REQUIRE(pipe);
  REQUIRE_FALSE(pool.take());
  REQUIRE(::write(pipe->write_end.get(), "x", 1) == 1);
  pipe->bytes = 1;
  const int fd = pipe->read_end.get();
  pool.give(std::move(pipe));
  REQUIRE_FALSE(is_open(fd));
  REQUIRE(pool.in_use() == 0);
  REQUIRE(pool.take());
}

TEST_CASE("a pool that the kernel denies a pipe does without, and asks again after a while") {
  const Own own;
  PipePool& pool = *own.pool;
  std::unique_ptr<Pipe> refused;
  {
    const NoDescriptors none;  // nor can the sanitizers look into Catch's objects: judged afterwards
    refused = pool.take();
  }
  REQUIRE_FALSE(refused);
  std::size_t denied = 0;
  while (!pool.take()) REQUIRE(++denied < 10'000);
  REQUIRE(denied > 0);  // not at once: asking costs four system calls
  REQUIRE(pool.take());
}

TEST_CASE("a pipe that has been idle for 10 s is closed, and its descriptors are given back") {
  const Own own;
  PipePool& pool = *own.pool;
  pool.tick(1'000);
  auto first = pool.take();
  auto second = pool.take();
  const int fd = first->read_end.get();
  pool.give(std::move(first));
  pool.tick(5'000);
  pool.give(std::move(second));
  CHECK(pool.due_ms() == 1'000 + PipePool::kIdleMs);
  CHECK_FALSE(pool.tick(1'000 + PipePool::kIdleMs - 1));
  CHECK(pool.idle() == 2);
  CHECK(pool.tick(1'000 + PipePool::kIdleMs));
  CHECK(pool.idle() == 1);
  CHECK_FALSE(is_open(fd));
  CHECK(own.descriptors.taken() == 2);
  CHECK(pool.tick(5'000 + PipePool::kIdleMs));
  CHECK(own.descriptors.taken() == 0);
  CHECK_FALSE(pool.due_ms());
}

TEST_CASE("the pipe that was used last is used next, so that the others become idle") {
  const Own own;
  PipePool& pool = *own.pool;
  pool.tick(0);
  auto first = pool.take();
  auto second = pool.take();
  const int last = second->read_end.get();
  pool.give(std::move(first));
  pool.give(std::move(second));
  CHECK(pool.take()->read_end.get() == last);
}

TEST_CASE("without descriptors to spare there is no pipe, and a session does without") {
  Descriptors descriptors;
  descriptors.set(16, 0);
  PipeAllowance allowance(descriptors);
  PipePool pool(allowance);
  std::vector<std::unique_ptr<Pipe>> taken;
  while (auto pipe = pool.take()) taken.push_back(std::move(pipe));
  CHECK(taken.size() == 7);
  CHECK(descriptors.take_for_session());
  for (auto& pipe : taken) pool.give(std::move(pipe));
  CHECK(pool.release_idle());
  CHECK(descriptors.taken() == 2);
}
