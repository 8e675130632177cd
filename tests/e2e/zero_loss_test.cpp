#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <map>

#include "tests/support/rig.h"
#include "tests/support/steady_clients.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// Reloads every 3 s, a drain or an enable every second, an upgrade in the middle, for `length`; new sessions
/// as fast as they go all the while.
void change_everything_under_load(milliseconds length) {
  SimpleConfig config;
  config.workers = 2;
  TempDir dir;
  // One file, which both processes append to: a pipe would let their lines run into each other.
  config.log = fmt::format("access = \"{}\"", dir.file("access.log"));
  Upgradable weir(echoing(3), config);
  pid_t serving = weir.rig().process().pid();
  SteadyClients clients(weir.address(), 4);
  const auto begin = Clock::now();
  bool drained = false;
  bool upgraded = false;
  auto next_reload = 3s;
  for (auto next_change = 1s; since(begin) < length; next_change += 1s) {
    REQUIRE(clients.wait_for_more(1));
    std::this_thread::sleep_until(begin + next_change);
    CHECK(weir.cli({drained ? "enable" : "drain", "web/b"}).status == 0);
    drained = !drained;
    if (since(begin) >= next_reload) {
      ::kill(serving, SIGHUP);
      next_reload += 3s;
    }
    if (!upgraded && since(begin) >= length / 2) {
      serving = weir.upgrade();
      upgraded = true;
    }
  }
  CHECK(upgraded);
  REQUIRE(clients.wait_for_more(10));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
  CHECK(clients.sessions() > 100);
  CHECK(weir.rig().process().wait() == 0);

  std::size_t expected = 0;
  for (const auto& [client, count] : clients.sources()) expected += static_cast<std::size_t>(count);
  std::vector<AccessLine> lines;
  CHECK(eventually([&] {
    lines = parse_access_log(read_file(dir.file("access.log")));
    return lines.size() >= expected;
  }));
  std::map<std::string, int> logged;
  std::map<std::string, int> ends;
  for (const AccessLine& line : lines) {
    ++logged[line["client"]];
    ++ends[line["end"]];
  }
  CHECK(logged == clients.sources());
  CHECK(ends == std::map<std::string, int>{{"done", static_cast<int>(expected)}});
}

}  // namespace

TEST_CASE("sessions that end while Weir starts children are disposed of, and nothing else is touched") {
  // Until its exec a child holds the sockets of all sessions: they outlive their close by that long.
  SimpleConfig config;
  config.workers = 2;
  config.health = "probe = \"exec\"\ncommand = [\"/bin/true\"]\ninterval = \"20ms\"";
  Rig rig(echoing(3), config);
  REQUIRE(eventually([&] { return connect_failure(rig.address()).empty(); }));
  SteadyClients clients(rig.address(), 4);
  REQUIRE(clients.wait_for_more(scaled(3'000), patient(60s)));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
  CHECK(rig.process().running());
}

TEST_CASE("reloads, drains and an upgrade in 10 s of new sessions lose nobody, and each is logged once",
          "[alone]") {
  change_everything_under_load(10s);
}

TEST_CASE("reloads, drains and an upgrade in 60 s of new sessions lose nobody, and each is logged once",
          "[long]") {
  change_everything_under_load(60s);
}
