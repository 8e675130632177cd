// Probes in PostgreSQL's own words, with Debian's server.
#include <csignal>
#include <filesystem>
#include <thread>

#include "tests/e2e/probed.h"
#include "tests/support/temp_dir.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// Where Debian has a version's programs; "" when there is none.
std::string program(const std::string& name) {
  std::error_code none;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none))
    if (const auto path = version.path() / "bin" / name; std::filesystem::exists(path)) return path.string();
  return "";
}

/// PostgreSQL does not run as root.
ProcessOptions as_nobody() {
  ProcessOptions options;
  if (::geteuid() == 0) options.user = 65534;
  return options;
}

class Cluster {
 public:
  Cluster() {
    std::filesystem::permissions(dir_.path(), std::filesystem::perms::all);
    const Finished made = run_program({program("initdb"), "-D", data(), "-U", "admin", "-A", "trust",
                                       "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C"},
                                      as_nobody(), patient(20s));
    INFO(made.out << made.err);
    REQUIRE(made.status == 0);
    write_file(data() + "/pg_hba.conf",
               "host all admin,weir 127.0.0.1/32 trust\nhost all locked 127.0.0.1/32 scram-sha-256\n");
  }

  std::string data() const { return dir_.file("data"); }
  const FreePort& port() const { return port_; }
  std::string log() const { return process_->err(); }

  void start(const std::vector<std::string>& settings = {}) {
    std::vector<std::string> command = {program("postgres"), "-D", data(), "-p",
                                        std::to_string(port_.number())};
    for (std::string setting : {"listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off",
                                "shared_buffers=1MB", "logging_collector=off"})
      command.insert(command.end(), {"-c", std::move(setting)});
    for (const std::string& setting : settings) command.insert(command.end(), {"-c", setting});
    process_ = std::make_unique<Process>(command, as_nobody());
    REQUIRE(accepts(port_.v4()));
  }
  void stop() {
    process_->signal(SIGINT);
    REQUIRE(process_->wait() == 0);
  }
  void run(const std::string& sql) const {
    const Finished psql = run_program({"psql", "-h", "127.0.0.1", "-p", std::to_string(port_.number()), "-U",
                                       "admin", "-d", "postgres", "-c", sql});
    INFO(psql.err);
    REQUIRE(psql.status == 0);
  }

 private:
  TempDir dir_;
  FreePort port_;
  std::unique_ptr<Process> process_;
};

bool no_postgres() {
  if (!program("postgres").empty() && have_program("psql")) return false;
  note_skipped("postgresql is not installed");
  return true;
}

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
