// Probes in MySQL's own words, with Debian's MariaDB.
#include <thread>

#include "tests/e2e/probed.h"
#include "tests/support/temp_dir.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

// Has its own directory for temporary files: a server that starts removes those of all others from the shared
// one.
class MariaDb {
 public:
  MariaDb() {
    const Finished made = run_program(
        {"mariadb-install-db", "--no-defaults", "--datadir=" + dir_.file("data"), "--tmpdir=" + dir_.file(""),
         "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"},
        {}, patient(20s));
    INFO(made.out << made.err);
    REQUIRE(made.status == 0);
    process_ = std::make_unique<Process>(std::vector<std::string>{
        "mariadbd", "--no-defaults", "--datadir=" + dir_.file("data"), "--tmpdir=" + dir_.file(""),
        "--socket=" + dir_.file("s"), "--pid-file=" + dir_.file("pid"), "--user=root",
        "--bind-address=127.0.0.1", "--port=" + std::to_string(port_.number()), "--max-connect-errors=2",
        "--connect-timeout=600", "--max-connections=10", "--extra-max-connections=1", "--log-warnings=9",
        "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0"});
    REQUIRE(accepts(port_.v4()));
    REQUIRE(ask("create user weir@'%'").status == 0);
  }

  std::string address() const { return port_.v4(); }
  std::string log() const { return process_->err(); }
  Finished ask(const std::string& sql) const {
    return run_program({"mariadb", "--no-defaults", "-N", "-S", dir_.file("s"), "-u", "root", "-e", sql});
  }

 private:
  TempDir dir_;
  FreePort port_;
  std::unique_ptr<Process> process_;
};

bool no_mariadb() {
  return missing({"mariadbd", "mariadb-install-db", "mariadb"});
}

// The server counts for addresses that are not 127.0.0.1.
std::string from(int host) {
  return fmt::format("source = \"127.0.0.{}\"", host);
}

}  // namespace

TEST_CASE("mysql probes do not block their host, and leave the log clean") {
  if (no_mariadb()) return;
  const MariaDb server;
  const auto refusals = [&] {
    std::size_t count = 0;
    const std::string log = server.log();
    for (auto at = log.find("Access denied"); at != std::string::npos; at = log.find("Access denied", at + 1))
      ++count;
    return count;
  };
  {
    const Probed weir({{"weir", server.address(), "probe = \"mysql\"", from(7)},
                       {"stranger", server.address(), "probe = \"mysql\"\nuser = \"stranger\"", from(8)}});
    weir.says("weir", "up", "probe passed (mysql, ");
    weir.says("stranger", "up", "probe passed (mysql, ");
    // Each of both has then been there often, and a host is blocked after two.
    REQUIRE(eventually([&] { return refusals() >= 6; }));
  }
  CHECK_THAT(server.log(), !Catch::Contains("host: '127.0.0.7'") && !Catch::Contains("'@'127.0.0.7'"));
  CHECK_THAT(server.log(), Catch::Contains("Access denied for user 'stranger'@'127.0.0.8'"));
  CHECK_THAT(server.log(), !Catch::Contains("host: '127.0.0.8' (This connection closed"));
}

TEST_CASE("a host that a MariaDB has blocked is told so in the server's words") {
  if (no_mariadb()) return;
  const MariaDb server;
  for (int i = 0; i < 3; ++i) {
    // Who only looks at the greeting is counted.
    Stream stream = Stream::connect(server.address(), {.source = to_address("127.0.0.9:0")});
    stream.recv_some();
  }
  REQUIRE(eventually([&] { return server.log().find("host: '127.0.0.9'") != std::string::npos; }));
  const Probed weir({{"blocked", server.address(), "probe = \"mysql\"", from(9)}});
  weir.says("blocked", "down", "(mysql): Host '127.0.0.9' is blocked because of many connection errors");
}

TEST_CASE("a full MariaDB is down for the server's own reason, and up again when there is room") {
  if (no_mariadb()) return;
  const MariaDb server;
  std::vector<Stream> held;
  for (int i = 0; i < 12; ++i) held.push_back(Stream::connect(server.address()));
  const Probed weir({{"full", server.address(), "probe = \"mysql\"", from(7)}});
  weir.says("full", "down", "(mysql): Too many connections (1040)");
  held.clear();
  weir.says("full", "up", "probe passed (mysql, ");
}
