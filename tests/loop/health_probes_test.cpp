#include <signal.h>

#include <catch2/catch.hpp>
#include <mutex>

#include "tests/loop/health_bench.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

using namespace weir;
using namespace weir::test;

namespace {

/// The first verdict on one backend.
std::optional<HealthReport> verdict_on(const std::string& address, const ProbeConfig& probe) {
  HealthBench bench;
  bench.checker().set_targets({HealthBench::target(1, address, probe)});
  std::optional<HealthReport> report;
  eventually([&] {
    const auto all = bench.transitions(1);
    if (!all.empty()) report = all.front();
    return !all.empty();
  });
  return report;
}

ProbeConfig expecting(const std::string& text, const std::string& send = "") {
  ProbeConfig probe = HealthBench::probe("expect");
  probe.expect = text;
  probe.send = send;
  return probe;
}

ProbeConfig http_get(const std::string& path, bool https = false) {
  ProbeConfig probe = HealthBench::probe("http");
  probe.path = path;
  probe.https = https;
  return probe;
}

/// A backend that answers every request with these bytes.
FakeBackendOptions answering(const std::string& answer) {
  return {.script = [answer](Stream& stream) {
    std::string request;
    while (request.find("\r\n\r\n") == std::string::npos) request += stream.recv_some();
    stream.send_all(answer);
  }};
}

ProbeConfig running(std::vector<std::string> command) {
  ProbeConfig probe = HealthBench::probe("exec");
  probe.timeout = kPatience;
  probe.command = std::move(command);
  return probe;
}

}  // namespace

TEST_CASE("expect: a banner in two segments passes, and what was sent has arrived") {
  FakeBackend backend({.script = [](Stream& stream) {
    stream.recv_exact(6);
    stream.send_all("+PO");
    stream.recv_exact(6);  // the second segment cannot have been merged with the first
    stream.send_all("NG\r\n");
  }});
  const auto report = verdict_on(backend.address(), expecting("+PONG", "PING\r\nPING\r\n"));
  REQUIRE(report);
  CHECK(report->health == Health::Up);
}

TEST_CASE("expect: a wrong banner fails, and is shown escaped") {
  FakeBackend backend({.greeting = "-ERR\r\nno", .then = Then::Finish});
  const auto report = verdict_on(backend.address(), expecting("+PONG"));
  REQUIRE(report);
  CHECK(report->health == Health::Down);
  CHECK_THAT(report->reason,
             Catch::StartsWith("probe failed (expect): ") && Catch::Contains("-ERR\\x0d\\nno"));
}

TEST_CASE("expect: a backend that accepts and says nothing times out") {
  FakeBackend backend({.then = Then::Stall});
  auto probe = expecting("+PONG");
  probe.timeout = Millis(200);
  const auto report = verdict_on(backend.address(), probe);
  REQUIRE(report);
  CHECK(report->reason == "probe failed (expect): timed out after 200ms");
}

TEST_CASE("expect: an endless wrong answer is cut off") {
  FakeBackend backend({.greeting = std::string(200'000, 'x'), .then = Then::Discard});
  const auto report = verdict_on(backend.address(), expecting("+PONG"));
  REQUIRE(report);
  CHECK_THAT(report->reason, Catch::Contains("64 KiB read without +PONG"));
}

TEST_CASE("expect: a real redis answers PING") {
  if (!have_program("redis-server")) return;
  const FreePort port;
  const TempDir dir;
  Process redis({"redis-server", "--port", std::to_string(port.number()), "--bind", "127.0.0.1", "--save", "",
                 "--dir", dir.path().string()});
  HealthBench bench;
  bench.checker().set_targets({HealthBench::target(1, port.v4(), expecting("+PONG", "PING\r\n"))});
  CHECK(bench.wait_for(1, Health::Up));
}

TEST_CASE("http: the status decides, and a redirect is not followed") {
  const auto [answer, passes, reason] = GENERATE(table<std::string, bool, std::string>(
      {{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, "probe passed (http"},
       {"HTTP/1.1 204 No Content\r\n\r\n", true, "probe passed (http"},
       {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", true,
        "probe passed"},
       {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", false, "probe failed (http): status 503"},
       {"SSH-2.0-OpenSSH\r\n", false, "probe failed (http): http: "},
       {"", false, "probe failed (http): http: "}}));
  FakeBackend backend(answering(answer));
  const auto report = verdict_on(backend.address(), http_get("/"));
  REQUIRE(report);
  CAPTURE(answer, report->reason);
  CHECK((report->health == Health::Up) == passes);
  CHECK_THAT(report->reason, Catch::StartsWith(reason));
}

TEST_CASE("http: path and host go out as configured, on a unix socket too") {
  const TempDir dir;
  const bool local = GENERATE(false, true);
  std::string request;
  FakeBackend backend({.script =
                           [&request](Stream& stream) {
                             std::string got;
                             while (got.find("\r\n\r\n") == std::string::npos) got += stream.recv_some();
                             if (request.empty()) request = got;
                             stream.send_all("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                           },
                       .address = local ? "unix:" + dir.file("s") : "127.0.0.1:0"});
  auto probe = http_get("/a/../b?c=d");
  probe.host = "www.example.org";
  probe.interval = Millis(3'600'000);
  const auto report = verdict_on(backend.address(), probe);
  REQUIRE(report);
  CAPTURE(report->reason);
  CHECK(report->health == Health::Up);
  CHECK_THAT(request, Catch::StartsWith("GET /a/../b?c=d HTTP/1.1\r\n") &&
                          Catch::Contains("Host: www.example.org\r\n"));
}

TEST_CASE("http: what a probe says comes behind the header that the backend expects, in its version") {
  const auto [version, header] = GENERATE(
      table<SendProxy, std::string>({{SendProxy::V1, "PROXY TCP4 127.0.0.1 127.0.0.1 "},
                                     {SendProxy::V2, std::string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16)}}));
  const bool https = GENERATE(false, true);
  CAPTURE(https);
  std::mutex mutex;
  std::string got;
  FakeBackend backend({.script = [&, https = https](Stream& stream) {
    std::string all;
    const auto whole = [&] {
      return https ? all.find("\x16\x03\x01") != std::string::npos
                   : all.find("HTTP/1.1\r\n") != std::string::npos && all.ends_with("\r\n\r\n");
    };
    while (!whole()) all += stream.recv_some();
    {
      const std::lock_guard lock(mutex);
      if (got.empty()) got = all;
    }
    if (!https) stream.send_all("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  }});
  auto probe = http_get("/ready", https);
  probe.header = version;
  probe.interval = Millis(3'600'000);
  const auto report = verdict_on(backend.address(), probe);
  REQUIRE(report);
  const std::lock_guard lock(mutex);
  CAPTURE(report->reason, got);
  CHECK((report->health == Health::Up) == !https);
  CHECK_THAT(got, Catch::StartsWith(header));
  const std::size_t behind = version == SendProxy::V1 ? got.find("\r\n") + 2 : header.size();
  CHECK_THAT(got.substr(behind), Catch::StartsWith(https ? "\x16\x03\x01" : "GET /ready HTTP/1.1\r\n"));
}

TEST_CASE("http: the body is searched, its first 64 KiB only") {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
  const auto [filler, passes] = GENERATE(table<std::size_t, bool>({{1000, true}, {80'000, false}}));
  FakeBackend backend(
      answering(head + std::string(filler, 'x') + "ready" + std::string(99'995 - filler, 'x')));
  auto probe = http_get("/");
  probe.body = "ready";
  const auto report = verdict_on(backend.address(), probe);
  REQUIRE(report);
  CAPTURE(report->reason);
  CHECK((report->health == Health::Up) == passes);
}

TEST_CASE("http: a real nginx passes over http and, self-signed, over https") {
  if (!have_program("nginx") || !have_program("openssl")) return;
  ::signal(SIGPIPE, SIG_IGN);
  const TempDir dir;
  const FreePort plain;
  const FreePort tls;
  REQUIRE(run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                       "-nodes", "-keyout", dir.file("key"), "-out", dir.file("cert"), "-days", "2", "-subj",
                       "/CN=nobody"})
              .status == 0);
  write_file(dir.file("nginx.conf"),
             "daemon off; master_process off; error_log stderr; pid " + dir.file("pid") +
                 "; events {} http { access_log off; client_body_temp_path " + dir.file("b") +
                 "; proxy_temp_path " + dir.file("p") + "; fastcgi_temp_path " + dir.file("f") +
                 "; uwsgi_temp_path " + dir.file("u") + "; scgi_temp_path " + dir.file("s") +
                 "; server { listen " + plain.v4() + "; listen " + tls.v4() + " ssl; ssl_certificate " +
                 dir.file("cert") + "; ssl_certificate_key " + dir.file("key") +
                 "; location / { return 200 ready; } location /no { return 500; } } }");
  Process nginx({"nginx", "-c", dir.file("nginx.conf"), "-e", "stderr"});
  REQUIRE(eventually([&] { return connect_failure(tls.v4()).empty(); }));
  HealthBench bench;
  auto body = http_get("/", true);
  body.body = "ready";
  bench.checker().set_targets({HealthBench::target(1, plain.v4(), http_get("/")),
                               HealthBench::target(2, tls.v4(), body),
                               HealthBench::target(3, tls.v4(), http_get("/no", true))});
  CHECK(bench.wait_for(1, Health::Up));
  CHECK(bench.wait_for(2, Health::Up));
  const auto down = bench.wait_for(3, Health::Down);
  REQUIRE(down);
  CHECK(down->reason == "probe failed (http): status 500");
}

TEST_CASE("exec: the exit status decides, the backend is in the environment") {
  FakeBackend backend;
  const std::string test =
      "test \"$WEIR_POOL/$WEIR_BACKEND $WEIR_ADDRESS $WEIR_HOST $WEIR_PORT\" = \"web/b1 " +
      backend.address() + " 127.0.0.1 " + std::to_string(backend.port()) + "\"";
  const auto up = verdict_on(backend.address(), running({"/bin/sh", "-c", test}));
  REQUIRE(up);
  CHECK(up->health == Health::Up);
  const auto down = verdict_on(backend.address(), running({"/bin/sh", "-c", "exit 7"}));
  REQUIRE(down);
  CHECK(down->reason == "probe failed (exec): exit status 7");
  const auto missing = verdict_on(backend.address(), running({"/no/such/program"}));
  REQUIRE(missing);
  CHECK(missing->reason == "probe failed (exec): cannot run /no/such/program: no such file or directory");
}

TEST_CASE(
    "exec: a command that ignores SIGTERM and has a child is killed with it at the timeout, and reaped") {
  const TempDir dir;
  const std::string script = "trap '' TERM; sleep 1000 & echo $! > " + dir.file("child") +
                             ".new; echo $$ >> " + dir.file("child") + ".new; mv " + dir.file("child") +
                             ".new " + dir.file("child") + "; while :; do sleep 1000; done";
  auto probe = running({"/bin/sh", "-c", script});
  probe.timeout = Millis(400);
  probe.interval = Millis(3'600'000);
  HealthBench bench;
  bench.checker().set_targets({HealthBench::target(1, "127.0.0.1:1", probe)});
  REQUIRE(bench.wait_for(1, Health::Down));
  std::istringstream pids(read_file(dir.file("child")));
  pid_t child = 0;
  pid_t shell = 0;
  REQUIRE(pids >> child >> shell);
  // A zombie could still be signalled: both must be gone altogether. (The child's new parent reaps it.)
  CHECK(eventually([&] { return ::kill(shell, 0) != 0; }));
  CHECK(eventually([&] {
    const std::string stat = read_file("/proc/" + std::to_string(child) + "/stat");
    return stat.empty() || stat.find(") Z") != std::string::npos;
  }));
}

TEST_CASE("exec: stopping the checker kills what runs and waits for it") {
  const TempDir dir;
  {
    HealthBench bench;
    bench.checker().set_targets({HealthBench::target(
        1, "127.0.0.1:1", running({"/bin/sh", "-c", "echo $$ > " + dir.file("pid") + "; exec sleep 1000"}))});
    REQUIRE(eventually([&] { return !read_file(dir.file("pid")).empty(); }));
  }
  CHECK(::kill(std::stoi(read_file(dir.file("pid"))), 0) != 0);
}
