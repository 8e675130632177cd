// Probes in Redis's own words, with Debian's redis-server.
#include <csignal>
#include <thread>

#include "tests/e2e/probed.h"
#include "tests/support/temp_dir.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

class Redis {
 public:
  explicit Redis(const std::vector<std::string>& more = {}) : process_(command(more)) {
    REQUIRE(accepts(port_.v4()));
  }

  const FreePort& port() const { return port_; }
  Process& process() { return process_; }
  std::string ask(const std::vector<std::string>& words) const {
    std::vector<std::string> command = {"redis-cli", "-p", std::to_string(port_.number())};
    command.insert(command.end(), words.begin(), words.end());
    return run_program(command).out;
  }

 private:
  std::vector<std::string> command(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"redis-server",
                                    "--port",
                                    std::to_string(port_.number()),
                                    "--bind",
                                    "127.0.0.1",
                                    "--save",
                                    "",
                                    "--dir",
                                    dir_.path().string(),
                                    "--loglevel",
                                    "verbose",
                                    "--repl-diskless-sync-delay",
                                    "0"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  FreePort port_;
  TempDir dir_;
  Process process_;
};

}  // namespace

TEST_CASE("redis probes know master from replica, and leave nothing in the log") {
  if (missing({"redis-server", "redis-cli"})) return;
  Redis master;
  Redis replica({"--replicaof", "127.0.0.1 " + std::to_string(master.port().number()),
                 "--replica-serve-stale-data", "no"});
  REQUIRE(eventually([&] { return replica.ask({"PING"}) == "PONG\n"; }));
  const Probed weir({{"any_m", master.port().v4(), "probe = \"redis\""},
                     {"any_r", replica.port().v4(), "probe = \"redis\""},
                     {"m_of_m", master.port().v4(), "probe = \"redis\"\nrole = \"master\""},
                     {"r_of_m", master.port().v4(), "probe = \"redis\"\nrole = \"replica\""},
                     {"m_of_r", replica.port().v4(), "probe = \"redis\"\nrole = \"master\""},
                     {"r_of_r", replica.port().v4(), "probe = \"redis\"\nrole = \"replica\""}});
  for (const char* up : {"any_m", "any_r", "m_of_m", "r_of_r"}) weir.says(up, "up", "probe passed (redis, ");
  weir.says("r_of_m", "down", "(redis): its role is master, not replica");
  weir.says("m_of_r", "down", "(redis): its role is replica, not master");
  CHECK_THAT(master.process().out(),
             Catch::Contains("Client closed connection") || Catch::Contains("Accepted"));
  CHECK_THAT(master.process().out(), !Catch::Contains("reset by peer") && !Catch::Contains("Protocol error"));

  master.process().signal(SIGKILL);
  weir.says("any_r", "down", "(redis): MASTERDOWN Link with MASTER is down");
  weir.says("m_of_m", "down", "(redis): connection refused");
  replica.ask({"REPLICAOF", "NO", "ONE"});
  weir.says("m_of_r", "up", "probe passed (redis, ");
  weir.says("r_of_r", "down", "(redis): its role is master, not replica");
}

TEST_CASE("a redis that wants a password is alive, but does not say what it is") {
  if (missing({"redis-server"})) return;
  Redis redis({"--requirepass", "secret"});
  const Probed weir({{"any", redis.port().v4(), "probe = \"redis\""},
                     {"master", redis.port().v4(), "probe = \"redis\"\nrole = \"master\""}});
  weir.says("any", "up", "probe passed (redis, ");
  weir.says("master", "down", "(redis): NOAUTH Authentication required.");
}
