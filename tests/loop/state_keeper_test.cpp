#include "lb/control/state_keeper.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"
#include "tests/support/timing.h"

using namespace weir;
using test::eventually;

namespace {

/// The disk hangs, as this program's own fsync sees it.
std::atomic<bool> hangs{false};
std::atomic<int> hanging{0};

Overrides drained(const std::string& backend) {
  Overrides out;
  out[{"web", backend}].admin = Word<Admin>{.value = Admin::Drained};
  return out;
}

}  // namespace

extern "C" int fsync(int fd) {
  ++hanging;
  while (hangs) ::usleep(1'000);
  --hanging;
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

TEST_CASE("a write that hangs while the file is left to another process replaces nothing when it goes on") {
  auto loop = Loop::create();
  REQUIRE(loop);
  const test::TempDir dir;
  const std::string path = dir.file("state.json");
  const bool leaves = GENERATE(true, false);
  {
    StateKeeper keeper(**loop, path);
    hangs = true;
    keeper.save(drained("old"));
    REQUIRE(eventually([] { return hanging == 1; }));
    if (leaves) keeper.leave();
    test::write_file(path, "theirs");
    hangs = false;
  }
  CHECK(eventually([&] { return (test::read_file(path) == "theirs") == leaves; }));
}
