#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <memory>

#include "tests/support/port.h"
#include "tests/support/skip.h"
#include "tests/support/stream.h"
#include "tests/support/weir_daemon.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

bool accepts(const std::string& address) {
  return eventually([&] { return connect_failure(address).empty(); });
}

/// One of Debian's nginx, answering every request with its name.
class Nginx {
 public:
  explicit Nginx(const std::string& name) : process_(command(name)) { REQUIRE(accepts(port_.v4())); }

  std::string address() const { return port_.v4(); }

 private:
  std::vector<std::string> command(const std::string& name) const {
    const std::string dir = dir_.path().string();
    write_file(dir_.file("nginx.conf"),
               fmt::format("daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\n"
                           "events {{ worker_connections 512; }}\n"
                           "http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path "
                           "{0}/body; proxy_temp_path {0}/proxy;\n"
                           "fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n"
                           "server {{ listen {1}; location / {{ return 200 '{2}'; }} }} }}\n",
                           dir, port_.v4(), name));
    return {"nginx", "-p", dir, "-e", dir_.file("error.log"), "-c", dir_.file("nginx.conf")};
  }

  FreePort port_;
  TempDir dir_;
  Process process_;
};

struct Front {
  FreePort port;
  std::unique_ptr<WeirDaemon> weir;

  explicit Front(std::vector<BackendText> backends, const std::string& log = "access = \"stdout\"") {
    SimpleConfig config;
    config.workers = 2;
    config.bind = port.v4();
    config.backends = std::move(backends);
    config.log = log;
    weir = std::make_unique<WeirDaemon>(config);
  }
};

}  // namespace

TEST_CASE("three nginx behind Weir get an even split of curl's requests") {
  if (missing({"nginx", "curl"})) return;
  const Nginx one("one");
  const Nginx two("two");
  const Nginx three("three");
  const Front front({{"one", one.address()}, {"two", two.address()}, {"three", three.address()}});
  std::map<std::string, int> answers;
  for (int i = 0; i < 30; ++i) {
    const Finished curl = run_program({"curl", "-sS", "-m", "10", "http://" + front.port.v4() + "/"});
    CHECK(curl.status == 0);
    ++answers[curl.out];
  }
  CHECK(answers == std::map<std::string, int>{{"one", 10}, {"two", 10}, {"three", 10}});
}

TEST_CASE("wrk through Weir sees no failure and its connections are split evenly", "[alone]") {
  if (missing({"nginx", "wrk"})) return;
  const Nginx one("one");
  const Nginx two("two");
  const Nginx three("three");
  const Front front({{"one", one.address()}, {"two", two.address()}, {"three", three.address()}});
  const Finished wrk =
      run_program({"wrk", "-t1", "-c30", "-d2s", "http://" + front.port.v4() + "/"}, {}, patient(30s));
  CAPTURE(wrk.out);
  CHECK(wrk.status == 0);
  CHECK_THAT(wrk.out, Catch::Contains("requests in"));
  CHECK_THAT(wrk.out, !Catch::Contains("Socket errors"));
  CHECK_THAT(wrk.out, !Catch::Contains("Non-2xx"));
  std::map<std::string, int> sessions;
  int total = 0;
  CHECK(front.weir->stop() == 0);  // now every line is there
  for (const AccessLine& line : front.weir->access_log()) {
    ++sessions[line["backend"]];
    ++total;
  }
  for (const auto& [name, count] : sessions) {
    CAPTURE(name, count, total);
    CHECK(std::abs(3 * count - total) <= 2);
  }
  CHECK(total >= 30);
  CHECK(sessions.size() == 3);
}

TEST_CASE("wrk with a connection for each request sees no failure", "[alone]") {
  if (missing({"nginx", "wrk"})) return;
  const Nginx one("one");
  const Nginx two("two");
  const Front front({{"one", one.address()}, {"two", two.address()}}, "access = \"off\"");
  const Finished wrk = run_program(
      {"wrk", "-t1", "-c20", "-d2s", "-H", "Connection: close", "http://" + front.port.v4() + "/"}, {},
      patient(30s));
  CAPTURE(wrk.out);
  CHECK(wrk.status == 0);
  CHECK_THAT(wrk.out, !Catch::Contains("Socket errors"));
  CHECK_THAT(wrk.out, !Catch::Contains("Non-2xx"));
}

TEST_CASE("redis-benchmark through Weir sees no error", "[alone]") {
  if (missing({"redis-server", "redis-benchmark"})) return;
  const FreePort port;
  const TempDir dir;
  Process redis({"redis-server", "--port", std::to_string(port.number()), "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no", "--dir", dir.path().string()});
  REQUIRE(accepts(port.v4()));
  const Front front({{"redis", port.v4()}});
  const Finished bench =
      run_program({"redis-benchmark", "-h", "127.0.0.1", "-p", std::to_string(front.port.number()), "-n",
                   "20000", "-c", "50", "-t", "ping,set,get,lrange_100", "--csv"},
                  {}, patient(60s));
  CAPTURE(bench.out, bench.err);
  CHECK(bench.status == 0);
  for (const char* test : {"\"SET\"", "\"GET\"", "LRANGE_100"}) CHECK_THAT(bench.out, Catch::Contains(test));
  CHECK_THAT(bench.out + bench.err, !Catch::Contains("rror"));
  for (const AccessLine& line : front.weir->wait_for_access(50)) {
    CAPTURE(line["end"]);
    const bool client_side = line["end"] == "done" || line["end"] == "client_reset";
    CHECK(client_side);
  }
}

TEST_CASE("iperf3 moves its bytes through Weir in either direction", "[alone]") {
  if (missing({"iperf3"})) return;
  const bool reverse = GENERATE(false, true);
  const FreePort port;
  Process server({"iperf3", "-s", "-p", std::to_string(port.number()), "-B", "127.0.0.1", "--forceflush"});
  REQUIRE(server.wait_for_out("listening"));
  const Front front({{"iperf", port.v4()}});
  std::vector<std::string> command = {
      "iperf3", "-c", "127.0.0.1", "-p", std::to_string(front.port.number()), "-n", "256M", "-P", "2", "-J"};
  if (reverse) command.emplace_back("-R");
  const Finished client = run_program(command, {}, patient(60s));
  CAPTURE(client.out, client.err);
  CHECK(client.status == 0);
  CHECK_THAT(client.out, !Catch::Contains("\"error\""));
  CHECK_THAT(client.out, Catch::Contains("sum_received"));
  long most = 0;
  for (const AccessLine& line : front.weir->wait_for_access(3)) {
    most = std::max(most, line.number(reverse ? "bytes_to_client" : "bytes_to_backend"));
  }
  CHECK(most >= 100L * 1024 * 1024);
}
