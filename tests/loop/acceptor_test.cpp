#include "lb/net/acceptor.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "lb/net/socket.h"
#include "tests/support/stream.h"
#include "tests/support/temp_dir.h"

using namespace weir;
using namespace weir::test;

namespace {

/// This process's limit on open files, as it was again at the end.
class LoweredLimit {
 public:
  explicit LoweredLimit(rlim_t limit) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit lowered = before_;
    lowered.rlim_cur = limit;
    ::setrlimit(RLIMIT_NOFILE, &lowered);
  }
  ~LoweredLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("a connection is accepted with no descriptor left, and what was given up for it is taken back") {
  const TempDir dir;
  const std::string path = dir.file("socket");
  auto loop = Loop::create();
  REQUIRE(loop);
  auto listening = listen_unix(*Address::unix_path(path), {.mode = 0600});
  REQUIRE(listening);
  std::vector<Fd> accepted;
  auto acceptor = Acceptor::create(**loop, std::move(*listening), [&](Fd connection) {
    accepted.push_back(std::move(connection));
    (*loop)->stop();
  });
  REQUIRE(acceptor);
  for (int round = 0; round < 2; ++round) {
    std::vector<Stream> callers;
    for (std::size_t i = 0; i < Acceptor::kReserve; ++i) callers.push_back(Stream::connect("unix:" + path));
    {
      const LoweredLimit limit(static_cast<rlim_t>(callers.front().fd()));
      REQUIRE(::fcntl(0, F_DUPFD_CLOEXEC, 0) == -1);
      while (accepted.size() < callers.size()) (*loop)->run();
    }
    CHECK(accepted.size() == Acceptor::kReserve);
    accepted.clear();
    (*acceptor)->fill_reserve();
  }
}
