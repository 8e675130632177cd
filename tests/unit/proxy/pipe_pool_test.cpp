#include "lb/proxy/pipe_pool.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <unistd.h>
#include <catch2/catch.hpp>

using namespace weir;

namespace {

constexpr std::size_t kAllPipes = PipePool::kTotalBytes / PipePool::kPipeBytes;

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

bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

TEST_CASE("a pipe is empty, does not block and has the size that was asked for") {
  PipePool pool(1);
  const auto pipe = pool.take();
  REQUIRE(pipe);
  CHECK(pipe->bytes == 0);
  CHECK(fcntl(pipe->read_end.get(), F_GETPIPE_SZ) == static_cast<int>(PipePool::kPipeBytes));
  CHECK((fcntl(pipe->read_end.get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(pipe->write_end.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("the workers together make no more pipes than the cap holds") {
  constexpr std::size_t kWorkers = 24;
  PipePool pool(kWorkers);
  std::vector<std::unique_ptr<Pipe>> taken;
  while (auto pipe = pool.take()) {
    taken.push_back(std::move(pipe));
    REQUIRE(taken.size() <= kAllPipes / kWorkers);
  }
  REQUIRE(taken.size() == kAllPipes / kWorkers);
  REQUIRE(pool.in_use() == taken.size());
  pool.give(std::move(taken.back()));
  REQUIRE(pool.take());
}

TEST_CASE("more workers than pipes, and no workers, are no trouble") {
  REQUIRE_FALSE(PipePool(kAllPipes + 1).take());
  REQUIRE(PipePool(0).take());
}

TEST_CASE("an empty pipe is used again") {
  PipePool pool(1);
  auto pipe = pool.take();
  const int fd = pipe->read_end.get();
  pool.give(std::move(pipe));
  REQUIRE(pool.in_use() == 0);
  REQUIRE(pool.take()->read_end.get() == fd);
}

TEST_CASE("a pipe with bytes in it is closed and makes room for another") {
  PipePool pool(kAllPipes);  // one pipe
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
  PipePool pool(1);
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
