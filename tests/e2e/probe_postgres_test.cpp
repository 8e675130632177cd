// Probes in PostgreSQL's own words, with Debian's server.
#include <thread>

#include "tests/e2e/postgres_cluster.h"
#include "tests/e2e/probed.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// Nothing in a server's log is ours.
void check_clean(const std::string& log) {
  CHECK_THAT(log, !Catch::Contains("incomplete startup packet") && !Catch::Contains("reset by peer") &&
                      !Catch::Contains("unexpected EOF") && !Catch::Contains("could not receive") &&
                      !Catch::Contains("could not send"));
}

}  // namespace

TEST_CASE("postgres probes leave a server's log clean, whether they may come in or not") {
  if (no_postgres()) return;
  Cluster cluster;
  cluster.start({"log_min_messages=info"});
  REQUIRE(eventually([&] { return cluster.log().find("ready to accept") != std::string::npos; }));
  cluster.run("create role weir login");
  const std::string address = cluster.port().v4();
  const std::string postgres = "probe = \"postgres\"\n";
  {
    const Probed weir({{"trusted", address, postgres + "database = \"postgres\""},
                       {"primary", address, postgres + "database = \"postgres\"\nrole = \"primary\""},
                       {"standby", address, postgres + "database = \"postgres\"\nrole = \"standby\""},
                       {"locked", address, postgres + "user = \"locked\""}});
    for (const char* up : {"trusted", "primary", "locked"}) weir.says(up, "up", "probe passed (postgres, ");
    weir.says("standby", "down", "(postgres): it is a primary, not a standby");
    std::this_thread::sleep_for(500ms);  // several probes each
    check_clean(cluster.log());
    CHECK_THAT(cluster.log(), !Catch::Contains("FATAL") && !Catch::Contains("weir"));
  }
  {
    // These are in the log for what they are, and for nothing else.
    const Probed weir({{"refused", address, postgres + "user = \"nobody\""},
                       {"unnamed", address, postgres},
                       {"missing", address, postgres + "database = \"none\""},
                       {"locked", address, postgres + "user = \"locked\"\nrole = \"primary\""}});
    weir.says("refused", "up", "probe passed (postgres, ");
    weir.says("unnamed", "up", "probe passed (postgres, ");
    weir.says("missing", "down", "(postgres): database \"none\" does not exist (3D000)");
    weir.says("locked", "down", "(postgres): its role is not known: it asks locked for a password");
    check_clean(cluster.log());
  }
  // Who only connects is in it.
  const Probed weir({{"tcp", address, "probe = \"tcp\""}});
  CHECK(eventually([&] {
    const std::string log = cluster.log();
    return log.find("incomplete startup packet") != std::string::npos ||
           log.find("reset by peer") != std::string::npos;
  }));
}

TEST_CASE("a postgres that takes nobody in is down for the server's own reason, a standby is told as one") {
  if (no_postgres()) return;
  Cluster cluster;
  cluster.start();
  REQUIRE(eventually([&] { return cluster.log().find("ready to accept") != std::string::npos; }));
  cluster.run("create role weir login");
  cluster.stop();
  write_file(cluster.data() + "/standby.signal", "");
  const std::string address = cluster.port().v4();
  const std::string postgres = "probe = \"postgres\"\ndatabase = \"postgres\"\n";
  const std::vector<ProbedPool> pools = {{"any", address, postgres},
                                         {"primary", address, postgres + "role = \"primary\""},
                                         {"standby", address, postgres + "role = \"standby\""}};
  cluster.start({"hot_standby=off"});
  {
    const Probed weir(pools);
    for (const char* down : {"any", "primary", "standby"})
      weir.says(down, "down", "(postgres): the database system is ");
    weir.says("any", "down", "(postgres): the database system is not accepting connections (57P03)");
  }
  check_clean(cluster.log());
  cluster.stop();

  cluster.start();
  REQUIRE(eventually([&] { return cluster.log().find("ready to accept read-only") != std::string::npos; }));
  const Probed weir(pools);
  weir.says("any", "up", "probe passed (postgres, ");
  weir.says("standby", "up", "probe passed (postgres, ");
  weir.says("primary", "down", "(postgres): it is a standby, not a primary");
  check_clean(cluster.log());
}
