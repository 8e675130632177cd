// What `weir status` shows people.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <sstream>

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
  weir.weir().stop();
  CHECK(watch.wait() == 5);
}

TEST_CASE("whether Weir is ready is an exit status, and a line that says why it is not") {
  SimpleConfig config;
  config.health = "probe = \"tcp\"\ninterval = \"100ms\"\nfall = 1\nrise = 1";
  Operated weir(lettered(2), config);
  REQUIRE(eventually([&] { return weir.backend_status("b").at("health") == "up"; }));
  const Finished ready = weir.cli({"status", "--ready"});
  CHECK(ready.status == 0);
  CHECK(ready.out == "ready\n");
  const std::string listener = weir.answer({"status"}).at("listeners").at(0).at("name");
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
  REQUIRE(eventually([&] { return weir.answer({"status"}).at("pools").at(0).at("verdict") == "ok"; }));
  weir.backend(0).stop_listening();
  CHECK(weir.says("pool web ok → degraded: 1 of 2 up"));
  weir.backend(1).stop_listening();
  CHECK(weir.says("pool web degraded → down: 0 of 2 up"));
  const auto pool = weir.answer({"status"}).at("pools").at(0);
  CHECK(pool.at("verdict") == "down");
  CHECK(pool.at("up") == "0 of 2 up");
  CHECK_THAT(weir.cli({"status"}).out, Contains("pool web, round_robin, 0 of 2 up, DOWN"));
}
