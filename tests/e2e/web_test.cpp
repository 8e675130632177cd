// What [web] answers, to whom, and how its addresses change.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "lb/observe/gzip.h"
#include "tests/support/http.h"
#include "tests/support/operated.h"
#include "tests/support/paths.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using nlohmann::json;

namespace {

const std::string kToken = "0123456789abcdef-the-token";

/// A configuration with [web] at `address`; `more`: further lines of that table.
SimpleConfig with_web(const std::string& address, const std::string& more = "", SimpleConfig config = {}) {
  // Behind [log], whose lines come last.
  config.log = fmt::format("access = \"stdout\"\n[web]\nbind = {}\n{}",
                           address.front() == '[' ? address : '"' + address + '"', more);
  return config;
}

struct Served {
  explicit Served(const std::string& more = "") : weir(lettered(2), with_web(port.v4(), more)) {}
  HttpAnswer get(const std::string& target, const HttpAsk& ask = {}) const {
    return http(port.v4(), target, ask);
  }

  FreePort port;
  Operated weir;
};

struct TokenFile : TempDir {
  TokenFile() { write(kToken); }
  void write(const std::string& token) const { write_file(path(), token + "\n"); }
  std::string path() const { return file("token"); }
  std::string line() const { return fmt::format("token_file = \"{}\"", path()); }
};

HttpAsk by(const std::string& token, const std::string& method = "GET", const std::string& body = "") {
  return {.method = method, .host = "localhost", .headers = {"Authorization: Bearer " + token}, .body = body};
}

}  // namespace

TEST_CASE("the page, readiness and the API are answered with headers that keep a browser safe") {
  const Served served;
  const auto page = served.get("/");
  CHECK(page.status == 200);
  CHECK(page.header("content-type") == "text/html; charset=utf-8");
  CHECK_THAT(page.header("content-security-policy"),
             Contains("default-src 'none'") && Contains("connect-src 'self'") && !Contains("unsafe"));
  CHECK(page.body == read_file(source_path("lb/observe/page/dist/index.html")));
  const auto small =
      served.get("/", {.method = "GET", .host = "localhost", .headers = {"Accept-Encoding: br, gzip"}});
  CHECK(small.header("content-encoding") == "gzip");
  CHECK(weir::gunzip(small.body, 10'000'000).value() == page.body);
  const auto status = served.get("/v1/status");
  CHECK(status.status == 200);
  CHECK(json::parse(status.body).at("pools").at(0).at("name") == "web");
  for (const char* target : {"/", "/v1/status", "/livez", "/readyz", "/nowhere", "/v1/nothing"}) {
    CAPTURE(target);
    const auto answer = served.get(target);
    CHECK(answer.header("x-content-type-options") == "nosniff");
    CHECK(answer.header("x-frame-options") == "DENY");
    CHECK_THAT(answer.header("content-security-policy"), Contains("frame-ancestors 'none'"));
    CHECK(answer.header("access-control-allow-origin").empty());
  }
  CHECK(served.get("/livez").body == "ok\n");
  CHECK(served.get("/nowhere").status == 404);
  CHECK(served.get("/", {.method = "HEAD"}).status == 200);
  const auto wrong = served.get("/livez", {.method = "POST"});
  CHECK(wrong.status == 405);
  CHECK(wrong.header("allow") == "GET, HEAD");
}

TEST_CASE("readiness is the same by HTTP and by the command") {
  const Served served;
  CHECK(served.get("/readyz").status == 200);
  CHECK(served.get("/readyz?listener=web").status == 200);
  CHECK(served.weir.status({"status", "--ready"}) == 0);
  CHECK(served.get("/readyz?listener=nobody").status == 404);
  REQUIRE(served.weir.status({"drain", "web/*", "--force"}) == 0);
  const auto answer = served.get("/readyz");
  CHECK(answer.status == 503);
  const Finished command = served.weir.cli({"status", "--ready"});
  CHECK(command.status == 1);
  std::string line = answer.body;
  line.pop_back();
  CHECK_THAT(command.err + command.out, Contains(line));
  // Whoever looks whether it is ready may ask by any name.
  CHECK(served.get("/readyz", {.method = "GET", .host = "10.0.0.1.nip.example"}).status == 503);
  CHECK(served.get("/livez", {.method = "GET", .host = ""}).status == 200);
}

TEST_CASE("foreign names and foreign pages are refused") {
  const Served served("hosts = [\"weir.example\"]");
  const auto foreign = served.get("/v1/status", {.method = "GET", .host = "evil.example"});
  CHECK(foreign.status == 403);
  CHECK_THAT(foreign.body, Contains("web.hosts"));
  CHECK(served.get("/v1/status", {.method = "GET", .host = "weir.example:9110"}).status == 200);
  CHECK(http_raw(served.port.v4(),
                 "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n"
                 "Connection: close\r\n\r\n")
            .status >= 400);
  CHECK(served
            .get("/v1/status",
                 {.method = "GET", .host = "localhost", .headers = {"Origin: http://evil.example"}})
            .status == 403);
  CHECK(
      served
          .get("/v1/status", {.method = "GET", .host = "localhost", .headers = {"Origin: http://localhost"}})
          .status == 200);
}

TEST_CASE("changes are for who has the token and the token is read again at a reload") {
  const TokenFile token;
  Served served(token.line());
  const std::string drain = "/v1/backends/web/a/drain";
  CHECK(served.get(drain, {.method = "POST"}).status == 401);
  CHECK(served.get(drain, by("wrong", "POST")).status == 401);
  CHECK(served.get("/v1/sessions").status == 401);
  CHECK(served.get("/v1/sessions", by(kToken)).status == 200);
  CHECK(served.weir.backend_status("a").at("admin") == "enabled");
  auto cross = by(kToken, "POST");
  cross.headers.emplace_back("Origin: http://evil.example");
  CHECK(served.get(drain, cross).status == 403);
  CHECK(served.get(drain, by(kToken, "POST")).status == 200);
  const auto drained = served.weir.backend_status("a");
  CHECK(drained.at("admin") == "drained");
  CHECK(drained.at("admin_word").at("by") == "web");
  token.write("another-token-0123456789");
  REQUIRE(served.weir.cli({"reload"}).status == 0);
  CHECK(served.get(drain, by(kToken, "POST")).status == 401);
  CHECK(served.get("/v1/backends/web/a/enable", by("another-token-0123456789", "POST")).status == 200);
  token.write("");
  const Finished refused = served.weir.cli({"reload"});
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Contains("web.token_file") && Contains("is empty"));
  CHECK(served.get("/v1/sessions", by("another-token-0123456789")).status == 200);
}

TEST_CASE("without a token nothing can be changed") {
  const Served served;
  const auto refused = served.get("/v1/backends/web/a/drain", by(kToken, "POST"));
  CHECK(refused.status == 403);
  CHECK_THAT(refused.body, Contains("web.token_file"));
  CHECK(served.get("/v1/stop", {.method = "POST"}).status == 403);
  CHECK(served.get("/v1/sessions").status == 403);
}

TEST_CASE("a reload adds and removes addresses and one that is taken refuses it") {
  Served served;
  const FreePort second;
  served.weir.config =
      with_web(fmt::format("[\"{}\", \"{}\"]", served.port.v4(), second.v4()), "", served.weir.config);
  // Who has begun to ask there is answered, whatever becomes of the address.
  Stream asking = Stream::connect(served.port.v4());
  asking.send_all("GET /livez HTTP/1.1\r\nHost: localhost\r\n");
  REQUIRE(served.weir.reload().status == 0);
  CHECK(http(second.v4(), "/livez").status == 200);
  CHECK(served.get("/livez").status == 200);
  served.weir.config = with_web(second.v4(), "", served.weir.config);
  REQUIRE(served.weir.reload().status == 0);
  CHECK_THROWS_AS(served.get("/livez"), StreamError);
  asking.send_all("Connection: close\r\n\r\n");
  CHECK(parse_http(asking.recv_to_end().data).status == 200);
  const FakeBackend stranger;
  served.weir.config = with_web(stranger.address(), "", served.weir.config);
  const Finished refused = served.weir.reload();
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Contains("web.bind = \"" + stranger.address() + "\""));
  CHECK(http(second.v4(), "/livez").status == 200);
  // From one address to all of them: the one that is had stands in nobody's way.
  served.weir.config = with_web(fmt::format("0.0.0.0:{}", second.number()), "", served.weir.config);
  REQUIRE(served.weir.reload().status == 0);
  CHECK(http(second.v4(), "/livez").status == 200);
}

TEST_CASE("a start on a taken address names it") {
  const FakeBackend stranger;
  const FreePort port;
  SimpleConfig config = with_web(stranger.address());
  config.bind = port.v4();
  const FakeBackend backend;
  config.backends = {{"a", backend.address()}};
  const Finished refused = run_weir({"run", "-c", "{}"}, config.toml());
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Contains("web.bind = \"" + stranger.address() + "\""));
}

TEST_CASE("a unix socket serves what TCP does") {
  const TempDir dir;
  const std::string path = "unix:" + dir.file("web.sock");
  Operated weir(lettered(1), with_web(path));
  CHECK(http(path, "/readyz").status == 200);
  CHECK(http(path, "/v1/stop", {.method = "POST"}).status == 403);
}

TEST_CASE("an upgrade hands the addresses over and nobody is refused") {
  const FreePort port;
  Upgradable weir(lettered(1), with_web(port.v4()));
  std::atomic<bool> over{false};
  std::atomic<int> failed{0}, answered{0};
  std::thread asker([&] {
    while (!over) try {
        ++(http(port.v4(), "/livez").status == 200 ? answered : failed);
      } catch (const StreamError&) {
        ++failed;
      }
  });
  REQUIRE(eventually([&] { return answered > 10; }));
  const auto before = weir.get("status").at("pid");
  weir.upgrade();
  const int then = answered;
  CHECK(eventually([&] { return answered > then + 10; }));
  over = true;
  asker.join();
  CHECK(failed == 0);
  CHECK(json::parse(http(port.v4(), "/v1/status").body).at("pid") != before);
}

TEST_CASE("nobody is kept by an old process: who has been let in is answered, and the connection ends") {
  const FreePort port;
  Upgradable weir(lettered(1), with_web(port.v4()));
  const bool lives_on = GENERATE(true, false);
  CAPTURE(lives_on);
  std::optional<Stream> session;
  if (lives_on) {
    session = weir.rig().connect();
    REQUIRE(session->recv_exact(1) == "a");
  }
  const std::string request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
  Stream kept = Stream::connect(port.v4());
  kept.send_all(request);
  REQUIRE_THAT(kept.recv_some(), Contains("HTTP/1.1 200"));
  Stream early = Stream::connect(port.v4());
  // Served in the order of arrival: the early one has been let in, too.
  REQUIRE(http(port.v4(), "/livez").status == 200);
  weir.upgrade();
  CHECK(kept.recv_to_end().ending == Ending::Eof);
  std::this_thread::sleep_for(300ms);
  early.send_all(request);
  const Received reply = early.recv_to_end();
  CHECK(parse_http(reply.data).status == 200);
  CHECK(reply.ending == Ending::Eof);
}

TEST_CASE("the hour that the page shows outlives an upgrade") {
  const FreePort port;
  Upgradable weir(lettered(1), with_web(port.v4()));
  const auto history = [&](const std::string& of) {
    return json::parse(http(port.v4(), "/v1/history" + of).body).at("short");
  };
  const auto sessions = [&](const std::string& of) {
    const json steps = history(of);
    int sum = 0;
    for (const json& step : steps.at("sessions")) sum += step.is_null() ? 0 : step.get<int>();
    return sum;
  };
  const std::string of_backend = "?pool=web&backend=a";
  for (int i = 0; i < 7; ++i) CHECK(Stream::connect(weir.address()).recv_exact(1) == "a");
  REQUIRE(eventually([&] { return sessions(of_backend) == 7; }));
  const auto before = history(of_backend);
  weir.upgrade();
  for (const std::string& of : {of_backend, std::string("?pool=web"), std::string()})
    CHECK(sessions(of) == 7);
  const auto steps = history(of_backend);
  CHECK(steps.at("sessions").size() >= before.at("sessions").size());
  CHECK(std::ranges::any_of(steps.at("connect_p50_ms"), [](const json& step) { return !step.is_null(); }));
  CHECK(Stream::connect(weir.address()).recv_exact(1) == "a");
  CHECK(eventually([&] { return sessions(of_backend) == 8; }));
  CHECK(sessions("?pool=web") == 8);
}

TEST_CASE("crowds and nonsense do not keep others from being answered") {
  raise_descriptor_limit();
  const Served served;
  std::vector<Stream> silent;
  for (int i = 0; i < 1000; ++i) silent.push_back(Stream::connect(served.port.v4()));
  CHECK(served.get("/livez").status == 200);
  for (std::size_t i = 0; i < silent.size(); i += 2) try {
      silent[i].send_all("GET /metrics HTTP/1.1\r\nHost: lo");
    } catch (const StreamError&) {  // it has given way
    }
  CHECK(served.get("/livez").status == 200);
  silent.clear();
  const auto huge =
      http_raw(served.port.v4(), "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(100'000, 'x') +
                                     "\r\nConnection: close\r\n\r\n");
  CHECK(huge.status == 431);
  const auto large = http_raw(served.port.v4(),
                              "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                              "Content-Length: 100000\r\n\r\n" +
                                  std::string(100'000, 'x'));
  CHECK(large.status == 413);
  CHECK(http_raw(served.port.v4(), "\x16\x03\x01 this is no HTTP\r\n\r\n").status != 200);
  CHECK(served.get("/livez").status == 200);
  CHECK(served.weir.letters(2) == "ab");
}

TEST_CASE("events and what is so are streamed to many and a slow reader holds nothing back") {
  const Served served;
  Stream events = Stream::connect(served.port.v4());
  events.send_all("GET /v1/events?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  Stream live = Stream::connect(served.port.v4());
  live.send_all("GET /v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  std::string seen, told;
  const auto shows = [](Stream& stream, std::string& text, std::string_view what) {
    return eventually([&] {
      if (text.find(what) == std::string::npos) text += stream.recv_some();
      return text.find(what) != std::string::npos;
    });
  };
  CHECK(shows(live, seen, "text/event-stream"));
  CHECK(shows(live, seen, "event: status"));
  REQUIRE(shows(events, told, "retry:"));
  REQUIRE(served.weir.status({"drain", "web/a"}) == 0);
  CHECK(shows(events, told, "drained"));
  CHECK(shows(live, seen, "drained"));
  // Readers beyond every second place are told so.
  std::vector<Stream> more;
  for (int i = 0; i < 64; ++i) {
    more.push_back(Stream::connect(served.port.v4()));
    more.back().send_all("GET /v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  CHECK(served.get("/livez").status == 200);
  CHECK(served.get("/v1/live").status == 503);
}

TEST_CASE("events are followed by the command over an upgrade") {
  Upgradable weir(lettered(2));
  Process follower(
      {weir_binary(), "events", "--follow", "-o", "json", "--since", "1h", "--socket", weir.socket()});
  REQUIRE(follower.wait_for_out("ready"));
  REQUIRE(weir.cli({"drain", "web/a"}).status == 0);
  CHECK(follower.wait_for_out("enabled → drained"));
  weir.upgrade();
  CHECK(follower.wait_for_out("took over from process"));
  REQUIRE(weir.cli({"enable", "web/a"}).status == 0);
  CHECK(follower.wait_for_out("drained → enabled"));
  // Each of them once, one a line.
  std::size_t drained = 0;
  std::istringstream lines(follower.out());
  for (std::string line; std::getline(lines, line);)
    drained += json::parse(line).at("text").get<std::string>().starts_with("enabled → drained");
  INFO(follower.out());
  CHECK(drained == 1);
}

TEST_CASE("who follows events of nobody is told and where there is no daemon too") {
  Operated weir(lettered(1));
  CHECK(run_program({weir_binary(), "events", "--follow", "--socket", weir.dir().file("none")}).status == 5);
  CHECK(weir.cli({"events", "--follow", "--limit", "3"}).status == 2);
}
