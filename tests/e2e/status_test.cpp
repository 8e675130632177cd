// What `weir status` shows people.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <sstream>
#include <thread>

#include "tests/support/operated.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using nlohmann::json;

namespace {

std::size_t columns_of(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(
      line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

ProcessOptions on_terminal(std::uint16_t columns) {
  ProcessOptions options;
  options.terminal_columns = columns;
  options.environment = {{"NO_COLOR", "1"}, {"TERM", "xterm"}};
  return options;
}

ProcessOptions with_keyboard(std::uint16_t columns) {
  ProcessOptions options = on_terminal(columns);
  options.keyboard = true;
  return options;
}

std::string line_with(const std::string& text, const std::string& what) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (line.find(what) != std::string::npos) return line;
  return "";
}

}  // namespace

TEST_CASE(
    "on a terminal of 80 columns the status says state, age, sessions, rate, bytes and why, unwrapped") {
  SimpleConfig config;
  config.health = "probe = \"expect\"\nexpect = \"" + std::string(90, 'x') +
                  "\"\ninterval = \"200ms\"\nfall = 1\ntimeout = \"100ms\"";
  Operated weir(lettered(1), config);
  const auto down = [&] { return weir.backend_status("a"); };
  REQUIRE(eventually([&] { return down().at("health") == "down"; }));
  REQUIRE(down().at("reason").get<std::string>().size() > 40);
  const Finished shown = weir.cli({"status"}, on_terminal(80));
  CAPTURE(shown.out);
  std::istringstream in(shown.out);
  for (std::string line; std::getline(in, line);) CHECK(columns_of(line) <= 80);
  const std::string header = line_with(shown.out, "BACKEND");
  CHECK_THAT(header, Contains("STATE") && Contains("SINCE") && Contains("ACTIVE") && Contains("NEW/S") &&
                         Contains("IN/S") && Contains("OUT/S") && Contains("FAIL") && Contains("CHECK"));
  CHECK_THAT(line_with(shown.out, "! a "), Contains("down") && Contains("…"));
  // Into a pipe nothing is cut.
  CHECK_THAT(weir.cli({"status"}).out, Contains(down().at("reason").get<std::string>().substr(0, 40)) &&
                                           Contains(weir.backend().address()));
}

TEST_CASE("status tells a planned closing, a run-time weight and a run-time member") {
  Operated weir(lettered(3));
  HeldSession held = hold_session(weir);
  REQUIRE(held.letter == 'a');
  Process waits(
      {weir_binary(), "drain", "web/a", "--timeout", "5m", "--then", "close", "--socket", weir.socket()});
  REQUIRE(eventually([&] { return weir.backend_status("a").contains("closes_at"); }));
  CHECK(weir.backend_status("a").at("closes_at").get<std::string>() >
        weir.backend_status("a").at("since").get<std::string>());
  REQUIRE(weir.status({"weight", "web/b", "5"}) == 0);
  REQUIRE(weir.status({"add", "web", "late", "127.0.0.1:9"}) == 0);
  const std::string shown = weir.cli({"status"}).out;
  CAPTURE(shown);
  CHECK_THAT(line_with(shown, "  a "), Contains("drained by ") && Contains("closes in 5m"));
  CHECK_THAT(line_with(shown, "  b "), Contains("weight 5 by ") && Contains("(file: 1)"));
  CHECK_THAT(line_with(shown, "  late "), Contains("added"));
  CHECK_FALSE(weir.backend_status("b").contains("closes_at"));
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  CHECK_FALSE(weir.backend_status("a").contains("closes_at"));
}

TEST_CASE("status tells how long backends take to their first byte, from their accept") {
  Operated weir({scripted([](Stream& session) {
    session.recv_exact(1);
    std::this_thread::sleep_for(200ms);
    session.send_all("answer");
    std::this_thread::sleep_for(300ms);
    session.send_all("more");
    session.recv_to_end();
  })});
  CHECK(weir.backend_status("a").at("first_byte_ms").is_null());
  Stream client = weir.connect();
  client.send_all("x");
  CHECK(client.recv_exact(10) == "answermore");
  Stream second = weir.connect();  // that has not been answered yet counts for nothing
  const auto times = weir.backend_status("a").at("first_byte_ms");
  CHECK(times.at("p50") >= 200);
  CHECK(times.at("p99") < 200 + patient(200ms).count());
  CHECK(times.at("p50") == times.at("p99"));
  CHECK(weir.get("status").at("pools").at(0).at("first_byte_ms") == times);
  CHECK(weir.backend_status("a").at("connect_ms").at("p99") < 100);
  CHECK_THAT(weir.cli({"status", "web/a"}).out, Contains("first byte") && Contains("idle"));
}

TEST_CASE(
    "status tells of each backend for how long the session has been idle that has been so for longest") {
  SimpleConfig config;
  config.workers = 2;
  Operated weir(lettered(2), config);
  const auto idle = [&](const std::string& name) {
    return weir.backend_status(name).at("longest_idle_seconds");
  };
  CHECK(idle("a").is_null());
  HeldSession first = hold_session(weir);
  const std::string name(1, first.letter);
  std::this_thread::sleep_for(300ms);
  const auto others_began = Clock::now();
  std::vector<HeldSession> others;
  for (std::size_t i = 1; i < 4; ++i) others.push_back(hold_session(weir, i));
  const auto since_then = [&] { return std::chrono::duration<double>(Clock::now() - others_began).count(); };
  CHECK(idle(name).get<double>() >= 0.3);
  const double of_the_other = idle(name == "a" ? "b" : "a").get<double>();
  CHECK(of_the_other <= since_then());
  REQUIRE(first.stream.echoes("x"));
  const double afterwards = idle(name).get<double>();
  CHECK(afterwards <= since_then());
}

TEST_CASE("status counts new sessions by the second and forgets them again", "[long]") {
  Operated weir(lettered(2));
  REQUIRE(weir.status({"drain", "web/b"}) == 0);
  weir.letters(30);
  const double now = weir.backend_status("a").at("sessions_per_second").get<double>();
  CHECK(now > 1.5);
  CHECK(now <= 30);
  CHECK(weir.backend_status("b").at("sessions_per_second") == 0);
  CHECK(eventually(20s, [&] { return weir.backend_status("a").at("sessions_per_second") == 0; }));
  CHECK(weir.backend_status("a").at("total") == 30);
}

TEST_CASE("status --watch overwrites a terminal in place and follows what changes") {
  Operated weir(lettered(2));
  Process watch({weir_binary(), "status", "--watch", "--socket", weir.socket()}, on_terminal(100));
  REQUIRE(watch.wait_for_out("\x1b[J"));
  REQUIRE(weir.status({"drain", "web/b"}) == 0);
  REQUIRE(watch.wait_for_out("drained"));
  const std::string out = watch.out();
  CHECK(out.starts_with("\x1b[H"));
  CHECK(out.find("\x1b[2J") == std::string::npos);
  CHECK(out.find("\x1b[H", 1) != std::string::npos);
  CHECK(watch.running());
}

TEST_CASE("status --watch ends with q and with Ctrl-C, and leaves the terminal as it was") {
  Operated weir(lettered(1));
  const std::string key = GENERATE("q", "\x03");
  Process watch({weir_binary(), "status", "--watch", "--socket", weir.socket()}, with_keyboard(100));
  REQUIRE(watch.wait_for_out("\x1b[J"));
  REQUIRE(eventually([&] { return !watch.terminal_is_plain(); }));
  watch.type("x");  // means nothing
  watch.type(key);
  CHECK(watch.wait(patient(900ms)) == 0);
  CHECK(watch.terminal_is_plain());
}

TEST_CASE("status --watch that is ended by a signal leaves the terminal as it was") {
  Operated weir(lettered(1));
  Process watch({weir_binary(), "status", "--watch", "--socket", weir.socket()}, with_keyboard(100));
  REQUIRE(eventually([&] { return !watch.terminal_is_plain(); }));
  watch.signal(SIGTERM);
  REQUIRE(watch.wait().has_value());
  CHECK(watch.terminal_is_plain());
}

TEST_CASE("status --watch outlives a daemon that is away for a while, and says so") {
  Operated weir(lettered(1));
  const bool terminal = GENERATE(true, false);
  CAPTURE(terminal);
  Process watch({weir_binary(), "status", "--watch", "--socket", weir.socket()},
                terminal ? on_terminal(100) : ProcessOptions());
  REQUIRE(watch.wait_for_out("pool web"));
  weir.weir().stop();
  REQUIRE(
      (terminal ? watch.wait_for_out("no answer for ") : watch.wait_for_err("asked again until it answers")));
  weir.restart();
  const auto seen = watch.out().size();
  CHECK(eventually([&] {
    return watch.out().substr(seen).find("up 0s") != std::string::npos ||
           watch.out().substr(seen).find("up 1s") != std::string::npos;
  }));
  CHECK(watch.running());
}

TEST_CASE("status --watch says that a daemon hangs, and still ends with q") {
  Operated weir(lettered(1));
  Process watch({weir_binary(), "status", "--watch", "--socket", weir.socket()}, with_keyboard(100));
  REQUIRE(watch.wait_for_out("\x1b[J"));
  weir.process().signal(SIGSTOP);
  CHECK(watch.wait_for_out("no answer for "));
  watch.type("q");
  CHECK(watch.wait(patient(4s)) == 0);
  weir.process().signal(SIGCONT);
}

TEST_CASE("status --watch has nothing to wait for when there is no daemon to begin with") {
  TempDir dir;
  const Finished watch = run_program({weir_binary(), "status", "--watch", "--socket", dir.file("none.sock")});
  CHECK(watch.status == 5);
}

TEST_CASE("status --watch shows the worst first where there is no room for all, and how many there are") {
  SimpleConfig config;
  config.health = "probe = \"tcp\"\ninterval = \"200ms\"\nfall = 1";
  Operated weir(lettered(1), config);
  for (int i = 0; i < 40; ++i)
    REQUIRE(weir.status({"add", "web", fmt::format("x{:02}", i), weir.backend().address()}) == 0);
  RefusingPort refusing;
  REQUIRE(weir.status({"add", "web", "worst", refusing.address()}) == 0);
  REQUIRE(eventually([&] { return weir.backend_status("worst").at("health") == "down"; }));
  Process watch({weir_binary(), "status", "--watch", "--socket", weir.socket()}, on_terminal(100));
  REQUIRE(watch.wait_for_out("\x1b[J"));
  const std::string screen = watch.out().substr(0, watch.out().find("\x1b[J"));
  CAPTURE(screen);
  CHECK(std::count(screen.begin(), screen.end(), '\n') <= 23);
  CHECK_THAT(screen, Contains("! worst ") && Contains("… ") && Contains(" more backends, 1 listener"));
  CHECK(screen.find("! worst ") < screen.find("  x00 "));
}

TEST_CASE("whether Weir is ready is an exit status, and a line that says why it is not") {
  SimpleConfig config;
  config.health = "probe = \"tcp\"\ninterval = \"100ms\"\nfall = 1\nrise = 1";
  Operated weir(lettered(2), config);
  REQUIRE(eventually([&] { return weir.backend_status("b").at("health") == "up"; }));
  const Finished ready = weir.cli({"status", "--ready"});
  CHECK(ready.status == 0);
  CHECK(ready.out == "ready\n");
  const std::string listener = weir.get("status").at("listeners").at(0).at("name");
  CHECK(weir.status({"status", "--ready", listener}) == 0);
  CHECK(weir.status({"status", "--ready", "nobody"}) == 3);
  weir.backend(0).stop_listening();
  REQUIRE(eventually([&] { return weir.backend_status("a").at("health") == "down"; }));
  CHECK(weir.status({"status", "--ready"}) == 0);  // degraded is ready
  weir.backend(1).stop_listening();
  REQUIRE(eventually([&] { return weir.backend_status("b").at("health") == "down"; }));
  const Finished unready = weir.cli({"status", "--ready"});
  CHECK(unready.status == 1);
  CHECK_THAT(unready.out, Contains("not ready: listener") && Contains("no eligible backend (0 of 2 up)"));
  weir.process().signal(SIGSTOP);
  const auto begin = Clock::now();
  CHECK(weir.status({"status", "--ready"}) == 5);
  CHECK(since(begin) < patient(2s));
  weir.process().signal(SIGCONT);
}

TEST_CASE("how a pool stands is in the status and in the log when it changes") {
  SimpleConfig config;
  config.health = "probe = \"tcp\"\ninterval = \"100ms\"\nfall = 1\nrise = 1";
  Operated weir(lettered(2), config);
  REQUIRE(eventually([&] { return weir.get("status").at("pools").at(0).at("verdict") == "ok"; }));
  weir.backend(0).stop_listening();
  CHECK(weir.says("pool web ok → degraded: 1 of 2 up"));
  weir.backend(1).stop_listening();
  CHECK(weir.says("pool web degraded → down: 0 of 2 up"));
  const auto pool = weir.get("status").at("pools").at(0);
  CHECK(pool.at("verdict") == "down");
  CHECK(pool.at("up") == "0 of 2 up");
  CHECK_THAT(weir.cli({"status"}).out, Contains("pool web, round_robin, 0 of 2 up, DOWN"));
}
