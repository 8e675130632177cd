// What probes say, and what becomes of sessions then. (Failover under load is in failover_test.cpp.)
#include <fmt/format.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

#include "tests/support/operated.h"
#include "tests/support/scripted_probe.h"
#include "tests/support/skip.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

constexpr auto kQuickProbe =
    "probe = \"tcp\"\ninterval = \"100ms\"\nfast_interval = \"50ms\"\ntimeout = \"1s\"\nrise = 1\nfall = 2\n";

SimpleConfig quick(std::string pool = "", std::string health = kQuickProbe) {
  SimpleConfig config;
  config.workers = 2;
  config.pool = std::move(pool);
  config.health = std::move(health);
  return config;
}

std::size_t count_of(const std::string& what, const std::string& text) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

/// `count` sessions all get one of `letters`, once the workers have heard of the last change.
bool soon_served_by(const Operated& weir, std::string_view letters, std::size_t count = 10) {
  return eventually([&] { return weir.letters(count).find_first_not_of(letters) == std::string::npos; });
}

/// A session on each of the backends "a" and "b".
std::pair<Stream, Stream> one_on_each(const Operated& weir) {
  HeldSession first = hold_session(weir);
  HeldSession second = hold_session(weir);
  REQUIRE(first.letter != second.letter);
  if (first.letter == 'a') return {std::move(first.stream), std::move(second.stream)};
  return {std::move(second.stream), std::move(first.stream)};
}

/// How a client that sends nothing fares.
Received one_answer(const Operated& weir) {
  Stream client = weir.connect();
  client.half_close();
  return client.recv_to_end();
}

}  // namespace

TEST_CASE("only consecutive results count, and exactly the transitions are logged") {
  ScriptedProbe probe;
  Operated weir(lettered(1), quick("", probe.health(2, 3)));
  const auto health = [&] { return weir.backend_status("a").at("health").get<std::string>(); };
  REQUIRE(weir.says("web/a unknown → up"));
  probe.hold();

  REQUIRE(probe.answer("S FFS FFS FF"));
  CHECK(health() == "up");
  // Reasons of a health that stays come a little later than transitions.
  CHECK(eventually([&] {
    return weir.backend_status("a").at("reason").get<std::string>().find("2 of 3 probes failed") !=
           std::string::npos;
  }));
  CHECK(weir.letters(1) == "a");
  const auto since = weir.backend_status("a").at("since");

  REQUIRE(probe.answer("S FF"));
  CHECK(health() == "up");
  CHECK(weir.backend_status("a").at("since") == since);
  REQUIRE(probe.answer("F"));
  REQUIRE(weir.says("web/a up → down: probe failed 3 times (expect): "));
  CHECK(health() == "down");
  CHECK(weir.backend_status("a").at("eligible") == false);

  REQUIRE(probe.answer("SFSFS"));
  CHECK(health() == "down");
  REQUIRE(probe.answer("S"));
  REQUIRE(weir.says("web/a down → up: probe passed (expect, "));
  CHECK(health() == "up");

  REQUIRE(probe.answer("FFS"));
  CHECK(count_of("web/a up → down", weir.log()) == 1);
  CHECK(count_of("web/a down → ", weir.log()) == 1);
  CHECK(count_of("web/a ", weir.log()) == 3);  // with the first one
}

TEST_CASE("a Table comes of a transition, and none of a result that confirms or is not enough") {
  ScriptedProbe probe;
  Operated weir(lettered(1), quick("", probe.health(2, 3)));
  const auto generation = [&] { return weir.get("status").at("generation").get<int>(); };
  REQUIRE(weir.says("web/a unknown → up"));
  probe.hold();
  REQUIRE(probe.answer("S"));
  const int before = generation();
  REQUIRE(probe.answer("SSFFSFSFFSS"));
  CHECK(generation() == before);
  REQUIRE(probe.answer("FFF"));
  REQUIRE(weir.says("up → down"));
  CHECK(generation() == before + 1);
}

TEST_CASE("after an enable a backend is unknown, and gets no session, until a probe has passed") {
  ScriptedProbe probe;
  Operated weir(lettered(1), quick("", probe.health(2, 3)));
  REQUIRE(weir.letters(1) == "a");
  probe.hold();
  REQUIRE(weir.status({"disable", "web/a", "--force"}) == 0);
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  REQUIRE(probe.wait_for_probe());
  const auto status = weir.backend_status("a");
  CHECK(status.at("admin") == "enabled");
  CHECK(status.at("health") == "unknown");
  CHECK(status.at("eligible") == false);
  CHECK(one_answer(weir).ending == Ending::Reset);
  REQUIRE(probe.answer("S"));
  CHECK(eventually([&] { return weir.backend_status("a").at("health") == "up"; }));
  CHECK(weir.letters(1) == "a");
}

TEST_CASE("a disable and an enable that come together forget the health all the same") {
  ScriptedProbe probe;
  Operated weir(lettered(1), quick("", probe.health(2, 3)));
  REQUIRE(weir.says("web/a unknown → up"));
  for (const bool disable_first : {true, false}) {
    // Both requests are there when Weir wakes up, so that it answers them in one turn.
    std::vector<Stream> operators;
    for (int n = 0; n < 2; ++n) operators.push_back(Stream::connect("unix:" + weir.socket()));
    REQUIRE(weir.cli({"status"}).status == 0);  // it has accepted them
    weir.process().signal(SIGSTOP);
    for (const bool disable : {disable_first, !disable_first}) {
      operators.back().send_all(
          fmt::format("POST /v1/backends/web/a/{} HTTP/1.1\r\n"
                      "Host: weir\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                      disable ? "disable?force=true" : "enable"));
      std::swap(operators.front(), operators.back());
    }
    weir.process().signal(SIGCONT);
    for (Stream& one : operators) CHECK_THAT(one.recv_to_end().data, Catch::StartsWith("HTTP/1.1 200"));
    REQUIRE(weir.status({"enable", "web/a"}) == 0);  // whichever came last
    CHECK(eventually(patient(3s), [&] { return weir.backend_status("a").at("health") == "up"; }));
  }
}

TEST_CASE("a banner in two segments passes, another banner fails, and the status quotes it") {
  const auto in_two = [](Stream& stream) {
    stream.send_all("220 re");
    std::this_thread::sleep_for(50ms);
    stream.send_all("ady\r\n");
  };
  const auto wrong = [](Stream& stream) { stream.send_all("500 go away\r\n"); };
  Operated weir({scripted(in_two), scripted(wrong)},
                quick("", "probe = \"expect\"\nexpect = \"220 ready\"\ninterval = \"200ms\""));
  CHECK(eventually([&] { return weir.backend_status("a").at("health") == "up"; }));
  CHECK(eventually([&] { return weir.backend_status("b").at("health") == "down"; }));
  CHECK_THAT(weir.backend_status("b").at("reason").get<std::string>(), Contains("500 go away\\x0d"));
  for (int i = 0; i < 4; ++i) CHECK(one_answer(weir).data == "220 ready\r\n");
  CHECK_THAT(weir.log(), !Contains("web/a up → down"));
}

TEST_CASE("live sessions of a backend that goes down stay") {
  Operated weir(lettered(2), quick());
  auto [on_a, on_b] = one_on_each(weir);
  weir.backend(0).stop_listening();
  REQUIRE(weir.says("web/a up → down"));
  REQUIRE(soon_served_by(weir, "b"));
  for (const auto start = Clock::now(); since(start) < 1'500ms;) {
    REQUIRE(on_a.echoes("still here"));
    REQUIRE(on_b.echoes("and here"));
    std::this_thread::sleep_for(50ms);
  }
}

TEST_CASE("with close the live sessions of a backend that goes down are reset within a second", "[alone]") {
  Operated weir(lettered(2), quick("on_backend_down = \"close\""));
  auto [on_a, on_b] = one_on_each(weir);
  const std::string victim = on_a.local_address();
  weir.backend(0).stop_listening();
  REQUIRE(weir.says("web/a up → down"));
  const auto start = Clock::now();
  CHECK(on_a.recv_to_end().ending == Ending::Reset);
  const auto took = since(start);
  WARN("reset " << took.count() << " ms after its backend was down");
  CHECK(took <= 1s);
  CHECK(eventually([&] { return weir.backend(0).open() == 0; }));
  CHECK(on_b.echoes("not concerned"));
  const auto lines = weir.weir().wait_for_access(1);
  const auto line = std::ranges::find_if(lines, [&](const auto& one) { return one["client"] == victim; });
  REQUIRE(line != lines.end());
  CHECK((*line)["end"] == "killed");
  CHECK((*line)["backend"] == "a");
}

TEST_CASE("with close a session that its backend has served whole goes on, whatever becomes of the backend") {
  constexpr std::size_t kWhole = 1'000'000;
  FakeBackendOptions whole;
  std::atomic<bool> finished{false};
  whole.greeting = std::string(kWhole, 'x');
  whole.script = [&finished](Stream& stream) {
    stream.half_close();
    finished = eventually([&] {
      int left = 1;
      return ::ioctl(stream.fd(), SIOCOUTQ, &left) != 0 || left == 0;
    });
    stream.recv_to_end(patient(30s));
  };
  Operated weir({whole}, quick("on_backend_down = \"close\""));
  Stream slow = weir.connect();
  // Its last byte and its FIN have left the backend; the client has read nothing yet.
  REQUIRE(eventually([&] { return finished.load(); }));
  weir.backend(0).stop_listening();
  REQUIRE(weir.says("web/a up → down"));
  // The workers answer this after they have been told.
  CHECK(weir.get("sessions").at("sessions").size() == 1);
  const auto all = slow.recv_to_end(patient(20s));
  CHECK(all.data.size() == kWhole);
  CHECK(all.ending == Ending::Eof);
}

TEST_CASE("when all are down and the pool says refuse, clients are reset") {
  Operated weir(lettered(2), quick("on_all_down = \"refuse\""));
  for (std::size_t i : {0u, 1u}) weir.backend(i).stop_listening();
  REQUIRE(weir.says("web/a up → down"));
  REQUIRE(weir.says("web/b up → down"));
  REQUIRE(
      eventually([&] { return weir.get("status").dump().find("\"eligible\":true") == std::string::npos; }));
  // They would serve again, but nobody has found out yet: a probe is what lets them.
  const std::size_t lines = weir.weir().access_log().size();
  CHECK(one_answer(weir).ending == Ending::Reset);
  const auto log = weir.weir().wait_for_access(lines + 1);
  CHECK(log.back()["end"] == "no_backend");
  CHECK(log.back()["attempts"] == "0");
}

TEST_CASE("when all are down and the pool says try_all, they serve and the status says so") {
  // The probes have a port of their own: the backends themselves are well.
  FakeBackend probed;
  Operated weir(lettered(2),
                quick("on_all_down = \"try_all\"", kQuickProbe + fmt::format("port = {}", probed.port())));
  CHECK(soon_served_by(weir, "ab"));
  probed.stop_listening();
  REQUIRE(weir.says("web/a up → down"));
  REQUIRE(weir.says("web/b up → down"));
  // Once the workers have heard of it.
  CHECK(eventually([&] { return std::ranges::count(weir.letters(10), 'a') == 5; }));
  const auto status = weir.backend_status("a");
  CHECK(status.at("health") == "down");
  CHECK(status.at("eligible") == true);
  CHECK_THAT(status.at("reason").get<std::string>(), Contains("used although down") && Contains("try_all"));
  // What an operator has taken out is not tried.
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  CHECK(weir.letters(6) == "bbbbbb");
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  probed.listen_again();
  REQUIRE(weir.says("web/a down → up"));
  CHECK_THAT(weir.backend_status("a").at("reason").get<std::string>(), !Contains("although down"));
}

TEST_CASE("backups come in when no primary is eligible, and go out again") {
  SimpleConfig config = quick();
  config.backends.resize(3);
  config.backends[2].more = "backup = true";
  Operated weir(lettered(3), config);
  CHECK(soon_served_by(weir, "ab"));
  weir.backend(0).stop_listening();
  REQUIRE(weir.says("web/a up → down"));
  CHECK(soon_served_by(weir, "b"));
  weir.backend(1).stop_listening();
  REQUIRE(weir.says("web/b up → down"));
  CHECK(soon_served_by(weir, "c"));
  weir.backend(0).listen_again();
  REQUIRE(weir.says("web/a down → up"));
  CHECK(soon_served_by(weir, "a"));
}

TEST_CASE("the share of a recovered backend grows over slow_start", "[alone]") {
  Operated weir(lettered(2), quick("slow_start = \"4s\""));
  // Not at the start: nothing has recovered there.
  const std::string at_start = weir.letters(20);
  CHECK(std::ranges::count(at_start, 'a') == 10);
  weir.backend(0).stop_listening();
  REQUIRE(weir.says("web/a up → down"));
  weir.backend(0).listen_again();
  REQUIRE(weir.says("web/a down → up"));
  const auto recovered = Clock::now();
  std::vector<std::ptrdiff_t> shares;
  milliseconds full{0};
  do {
    const std::string letters = weir.letters(20);
    shares.push_back(std::ranges::count(letters, 'a'));
    full = since(recovered);
    std::this_thread::sleep_for(100ms);
  } while ((shares.back() < 10 || full < 4s) && full < patient(8s));
  WARN(fmt::format("sessions of 20 that the recovered backend got, over {} ms: {}", full.count(),
                   fmt::join(shares, " ")));
  CHECK(shares.front() <= 6);
  CHECK(shares.back() == 10);
  // In the middle it is in the middle: neither at once nor all at the end.
  const auto middle = shares[shares.size() / 2];
  CHECK(middle > shares.front());
  CHECK(middle <= 9);
}

TEST_CASE("each kind of probe passes with the real thing, and fails when that dies") {
  SKIP_UNLESS(have_program("nginx") && have_program("openssl") && have_program("redis-server"),
              "needs nginx, openssl and redis-server");
  const TempDir dir;
  const FreePort plain;
  const FreePort tls;
  const FreePort redis_port;
  REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
  REQUIRE(run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                       "-nodes", "-keyout", dir.file("key"), "-out", dir.file("cert"), "-days", "2", "-subj",
                       "/CN=nobody"})
              .status == 0);
  write_file(
      dir.file("nginx.conf"),
      fmt::format("daemon off; master_process off; error_log stderr; pid {0}/pid; events {{}}\n"
                  "http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p;\n"
                  "fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n"
                  "server {{ listen {1}; listen {2} ssl; ssl_certificate {0}/cert; "
                  "ssl_certificate_key {0}/key; location /health {{ return 200 'all is well'; }} }} }}",
                  dir.path().string(), plain.v4(), tls.v4()));
  Process nginx({"nginx", "-c", dir.file("nginx.conf"), "-e", "stderr"});
  Process redis({"redis-server", "--port", std::to_string(redis_port.number()), "--bind", "127.0.0.1",
                 "--save", "", "--dir", dir.path().string()});
  for (const FreePort* port : {&plain, &tls, &redis_port})
    REQUIRE(eventually([&] { return connect_failure(port->v4()).empty(); }));
  write_file(dir.file("flag"), "");

  const auto pool = [](const std::string& name, const std::string& address, const std::string& health) {
    return fmt::format(
        "[[pool]]\nname = \"{0}\"\n[pool.health]\ninterval = \"200ms\"\nfast_interval = \"100ms\"\n"
        "timeout = \"{3}ms\"\n{2}\n[[pool.backend]]\nname = \"one\"\naddress = \"{1}\"\n",
        name, address, health, patient(1s).count());
  };
  const std::string test =
      fmt::format("test -e {} && test \\\"$WEIR_POOL/$WEIR_BACKEND $WEIR_ADDRESS\\\" = \\\"exec/one {}\\\"",
                  dir.file("flag"), plain.v4());
  SimpleConfig config = quick();
  const FreePort front;
  config.bind = front.v4();
  config.backends = {{"web", plain.v4()}};
  WeirDaemon weir(
      config.toml() +
      pool("http", plain.v4(), "probe = \"http\"\npath = \"/health\"\nbody = \"is well\"\nstatus = \"200\"") +
      pool("https", tls.v4(), "probe = \"http\"\nhttps = true\npath = \"/health\"") +
      pool("missing", plain.v4(), "probe = \"http\"\npath = \"/nothing\"") +
      pool("redis", redis_port.v4(), "probe = \"expect\"\nsend = \"PING\\r\\n\"\nexpect = \"+PONG\"") +
      pool("exec", plain.v4(), "probe = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"" + test + "\"]"));
  const auto says = [&](const std::string& what) {
    INFO(what << "; it said: " << weir.process().err());
    CHECK(weir.process().wait_for_err(what));
  };
  says("http/one unknown → up: probe passed (http, ");
  says("https/one unknown → up: probe passed (http, ");
  says("missing/one unknown → down: probe failed (http): status 404");
  says("redis/one unknown → up: probe passed (expect, ");
  says("exec/one unknown → up: probe passed (exec, ");
  nginx.signal(SIGKILL);
  redis.signal(SIGKILL);
  std::filesystem::remove(dir.file("flag"));
  says("http/one up → down: probe failed 3 times (http): ");
  says("https/one up → down: probe failed 3 times (http): ");
  says("redis/one up → down: probe failed 3 times (expect): connection refused");
  says("exec/one up → down: probe failed 3 times (exec): exit status 1");
}

TEST_CASE("however many clients hold however few descriptors, probes see a backend die and come back") {
  const std::string kind = GENERATE("tcp", "expect", "http");
  const int workers = GENERATE(1, 2);
  const std::size_t limit = GENERATE(100u, 200u);
  CAPTURE(kind, workers, limit);
  std::vector<FakeBackendOptions> backends = echoing(2);
  std::string health =
      "interval = \"100ms\"\nfast_interval = \"50ms\"\ntimeout = \"5s\"\nrise = 1\nfall = 2\n";
  health += fmt::format("probe = \"{}\"\n", kind);
  if (kind == "expect") health += "send = \"yes\"\nexpect = \"yes\"\n";
  if (kind == "http")
    backends = {2, {.greeting = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .then = Then::Discard}};
  SimpleConfig config = quick("", health);
  config.workers = workers;
  ProcessOptions options;
  options.descriptor_limit = limit;
  Operated weir(backends, config, options);
  REQUIRE(eventually([&] { return weir.backend_status("web/a")["eligible"] == true; }));
  std::vector<Stream> clients;
  for (std::size_t n = 0; n < 300; ++n) clients.push_back(Stream::begin_connect(weir.address()));
  // Full: new clients stay in the kernel's queue.
  REQUIRE(eventually([&] { return weir.get("status")["sessions"]["active"] >= 5; }));
  weir.backend(0).stop_listening();
  CHECK(weir.says("web/a up → down: probe failed 2 times"));
  weir.backend(0).listen_again();
  CHECK(weir.says("web/a down → up: probe passed"));
  CHECK_THAT(weir.log(), !Contains("could not be run"));
  CHECK(weir.backend_status("web/a")["eligible"] == true);
}
