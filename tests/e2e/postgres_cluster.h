#pragma once

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/port.h"
#include "tests/support/process.h"
#include "tests/support/skip.h"
#include "tests/support/stream.h"
#include "tests/support/temp_dir.h"

namespace weir::test {

/// Where Debian has a version's programs; "" when there is none.
inline std::string program(const std::string& name) {
  std::error_code none;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none))
    if (const auto path = version.path() / "bin" / name; std::filesystem::exists(path)) return path.string();
  return "";
}

/// PostgreSQL does not run as root.
inline ProcessOptions as_nobody() {
  ProcessOptions options;
  if (::geteuid() == 0) options.user = 65534;
  return options;
}

/// A PostgreSQL of Debian's on a port of 127.0.0.1, with the superuser "admin", whom it asks nothing.
class Cluster {
 public:
  Cluster() {
    std::filesystem::permissions(dir_.path(), std::filesystem::perms::all);
    const Finished made = run_program({program("initdb"), "-D", data(), "-U", "admin", "-A", "trust",
                                       "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C"},
                                      as_nobody(), patient(std::chrono::seconds(20)));
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
    REQUIRE(eventually([&] { return connect_failure(port_.v4()).empty(); }));
  }
  /// With a certificate made for it, and ready.
  void start_with_tls() {
    const std::string key = data() + "/key.pem", cert = data() + "/cert.pem";
    REQUIRE(
        run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                     "-nodes", "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=test"},
                    as_nobody())
            .status == 0);
    std::filesystem::permissions(key, std::filesystem::perms::owner_read);
    start({"ssl=on", "ssl_cert_file=" + cert, "ssl_key_file=" + key});
    REQUIRE(eventually([&] { return log().find("ready to accept") != std::string::npos; }));
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

/// Says so, too.
inline bool no_postgres() {
  if (!program("postgres").empty() && have_program("psql")) return false;
  note_skipped("postgresql is not installed");
  return true;
}

}  // namespace weir::test
