// How workers wait for events: asleep, or polling for a while before, or for ever.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/operated.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// How often of twenty looks the first worker is asleep, while nobody wants anything of it.
int looks_asleep(Operated& operated) {
  std::filesystem::path worker;
  for (const auto& task :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", operated.process().pid())))
    if (std::string name; std::ifstream(task.path() / "comm") >> name && name == "weir-worker-1")
      worker = task.path();
  REQUIRE_FALSE(worker.empty());
  int asleep = 0;
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(20ms);
    std::string pid, name, state;
    std::ifstream(worker / "stat") >> pid >> name >> state;
    asleep += state == "S" ? 1 : 0;
  }
  return asleep;
}

}  // namespace

TEST_CASE("a worker that always polls never sleeps, serves all the same, and sleeps again after a reload") {
  SimpleConfig config;
  config.global = "busy_poll = \"always\"";
  config.pool = "idle_timeout = \"1s\"";
  Operated operated(echoing(), config);
  Stream client = operated.connect();
  CHECK(client.echoes("polled for"));
  CHECK(looks_asleep(operated) == 0);
  // Its timers run, too.
  CHECK(client.recv_to_end().ending == Ending::Reset);
  operated.config.global = "busy_poll = \"off\"";
  const Finished reloaded = operated.reload();
  CHECK(reloaded.status == 0);
  CHECK_THAT(reloaded.out, Catch::Contains("busy_poll always→off"));
  CHECK(looks_asleep(operated) >= 18);
  CHECK(operated.connect().echoes("woken for"));
}

TEST_CASE("a worker that polls where it pays is at rest as soon as its clients are") {
  Operated operated(echoing());
  Stream client = operated.connect();
  for (int i = 0; i < 5'000; ++i) REQUIRE(client.echoes("to and fro"));
  CHECK(looks_asleep(operated) >= 18);
  CHECK(client.echoes("still there"));
}
