// `weir top` on a real terminal: tmux, by its keys and what it shows.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

#include "tests/support/operated.h"
#include "tests/support/skip.h"
#include "tests/support/tmux.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

#define NEEDS_TMUX() \
  if (missing({"tmux", "stty"})) return

/// Runs it, and says afterwards how it ended and whether the terminal is what it was.
std::string script(const std::string& socket, const std::string& arguments = "") {
  return fmt::format(
      "trap : INT QUIT HUP\necho before-top\nold=$(stty -g)\n{} top --socket {} {}\nstatus=$?\n"
      "[ \"$old\" = \"$(stty -g)\" ] && echo same-terminal\necho ended-with $status\nsleep 1000\n",
      weir_binary(), socket, arguments);
}

std::size_t columns_of(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(
      line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

void check_fits(const Tmux& tmux, std::size_t columns, std::size_t lines) {
  const auto shown = tmux.lines();
  CAPTURE(tmux.screen());
  CHECK(shown.size() <= lines);
  for (const auto& line : shown) CHECK(columns_of(line) <= columns);
}

/// The row below the table's header.
std::string first_row(const Tmux& tmux) {
  const auto lines = tmux.lines();
  const auto header = std::ranges::find_if(
      lines, [](const std::string& line) { return line.find("BACKEND") != std::string::npos; });
  return header != lines.end() && header + 1 != lines.end() ? header[1] : "";
}

SimpleConfig probed() {
  SimpleConfig config;
  config.health =
      "probe = \"tcp\"\ninterval = \"100ms\"\nfast_interval = \"50ms\"\ntimeout = \"1s\"\nfall = 1\nrise = 1";
  return config;
}

bool is_healthy(const Operated& weir, const std::string& name, const std::string& health) {
  return eventually([&] { return weir.backend_status(name).at("health") == health; });
}

}  // namespace

TEST_CASE("top shows the problems first at every size and follows a resize") {
  NEEDS_TMUX();
  Operated weir(lettered(3), probed());
  weir.backend(2).stop_listening();
  REQUIRE(is_healthy(weir, "c", "down"));
  const auto [columns, lines] = GENERATE(table<int, int>({{80, 24}, {120, 40}, {40, 10}}));
  CAPTURE(columns, lines);
  const Tmux tmux(columns, lines, script(weir.socket()));
  REQUIRE(tmux.shows(">!web/c"));
  CHECK(tmux.lines().at(0).starts_with("weir "));
  CHECK_THAT(tmux.screen(), Contains("q quit") && !Contains("before-top"));
  CHECK_THAT(tmux.line_with("BACKEND"), Contains("STATE") && Contains("ACTIVE"));
  CHECK_THAT(tmux.line_with("web/c"), Contains("down"));
  check_fits(tmux, static_cast<std::size_t>(columns), static_cast<std::size_t>(lines));
  tmux.resize(60, 16);
  REQUIRE(eventually([&] { return tmux.lines().size() == 16; }));
  REQUIRE(tmux.shows("w weight"));
  check_fits(tmux, 60, 16);
  tmux.resize(120, 30);
  REQUIRE(tmux.shows("HISTORY"));
  CHECK_THAT(tmux.lines().back(), Contains("q quit"));
  check_fits(tmux, 120, 30);
  // A dead one that comes back is no problem any more.
  weir.backend(2).listen_again();
  CHECK(tmux.lost("!web/c"));
}

TEST_CASE("top drains, enables and weighs after a question that names the effect") {
  NEEDS_TMUX();
  Operated weir(lettered(2));
  std::vector<HeldSession> held;
  for (std::size_t i = 0; i < 4; ++i) held.push_back(hold_session(weir, i));
  const Tmux tmux(80, 24, script(weir.socket(), "web"));
  REQUIRE(tmux.shows("> web/a"));
  tmux.press({"Down"});
  REQUIRE(tmux.shows("> web/b"));
  tmux.press({"d"});
  REQUIRE(tmux.shows("drain web/b? 2 sessions on it go on until they end; 1 of 2 backends"));
  tmux.press({"n"});
  REQUIRE(tmux.shows("nothing has changed"));
  CHECK(weir.backend_status("b").at("admin") == "enabled");
  tmux.press({"d", "y"});
  REQUIRE(tmux.shows("web/b: drained, 2 sessions left"));
  CHECK(weir.backend_status("b").at("admin") == "drained");
  REQUIRE(eventually([&] { return tmux.line_with("> web/b").find("drained") != std::string::npos; }));

  // The last one: "y" alone is not enough.
  tmux.press({"Up", "d"});
  REQUIRE(tmux.shows("NOBODY is left to serve"));
  tmux.press({"y"});
  REQUIRE(tmux.shows("nothing has changed"));
  CHECK(weir.backend_status("a").at("admin") == "enabled");
  tmux.press({"d", "Y"});
  REQUIRE(tmux.shows("web/a: drained, 2 sessions left"));
  tmux.press({"e"});
  REQUIRE(tmux.shows("enable web/a? it gets new sessions at once"));
  tmux.press({"y"});
  REQUIRE(tmux.shows("web/a: enabled, 2 sessions"));

  tmux.press({"w", "0", "Enter"});
  REQUIRE(tmux.shows("\"0\" is no weight: 1 to 256, or default"));
  tmux.press({"w", "7", "Enter"});
  REQUIRE(tmux.shows("weight of web/a from 1 to 7?"));
  tmux.press({"y"});
  REQUIRE(tmux.shows("web/a: weight 7"));
  CHECK(weir.backend_status("a").at("weight") == 7);
}

TEST_CASE("top sorts and filters, and shows the sessions of the selected backend") {
  NEEDS_TMUX();
  Operated weir(lettered(3));
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  REQUIRE(weir.status({"drain", "web/b"}) == 0);
  const HeldSession held = hold_session(weir, 0);
  REQUIRE(held.letter == 'c');
  const Tmux tmux(80, 24, script(weir.socket()));
  REQUIRE(tmux.shows("> web/a"));
  tmux.press({"s", "s"});
  REQUIRE(tmux.shows("ACTIVE▾"));
  REQUIRE(eventually([&] { return first_row(tmux).find("web/c") != std::string::npos; }));
  // The one that was selected stays so.
  CHECK_THAT(tmux.line_with("web/a"), Contains("> web/a"));
  tmux.press({"/", "c", "Enter"});
  REQUIRE(tmux.lost("web/b"));
  REQUIRE(tmux.shows("/c: 1 of 3"));
  REQUIRE(tmux.shows("> web/c"));
  tmux.press({"Tab"});
  REQUIRE(tmux.shows("1 session of web/c"));
  REQUIRE(tmux.shows("relaying"));
  tmux.press({"Escape"});
  REQUIRE(tmux.shows("  web/b"));
  tmux.press({"/", "x", "y", "z"});
  REQUIRE(tmux.shows("none of 3 backends is like \"xyz\""));
  check_fits(tmux, 80, 24);
}

TEST_CASE("top goes through a thousand backends and through the sessions of one") {
  NEEDS_TMUX();
  Operated weir(lettered(1));
  std::string many = "[[pool]]\nname = \"many\"\n[pool.health]\nprobe = \"none\"\n";
  for (int i = 0; i < 1'000; ++i)
    many += fmt::format("[[pool.backend]]\nname = \"b{:03}\"\naddress = \"127.0.1.1:{}\"\n", i, 1'000 + i);
  write_file(weir.weir().config_file(), weir.config.toml() + many);
  REQUIRE(weir.status({"reload"}) == 0);
  std::vector<HeldSession> held;
  for (std::size_t i = 0; i < 30; ++i) held.push_back(hold_session(weir, i));
  const Tmux tmux(100, 24, script(weir.socket()));
  REQUIRE(tmux.shows("> web/a"));
  tmux.press({"NPage"});
  REQUIRE(tmux.lost("web/a"));
  tmux.press({"End"});
  REQUIRE(tmux.shows("> many/b999"));
  check_fits(tmux, 100, 24);
  tmux.press({"Home", "Tab"});
  REQUIRE(tmux.shows("30 sessions of web/a, 1 to "));
  tmux.press({"]", "]", "]"});
  REQUIRE(tmux.shows(" to 30, the oldest first"));
  check_fits(tmux, 100, 24);
  tmux.press({"Tab", "/", "b", "5", "0", "7", "Enter"});
  REQUIRE(tmux.shows("/b507: 1 of 1001"));
  CHECK_THAT(tmux.line_with("b507"), Contains("> many/b507"));
}

TEST_CASE("top says that the daemon is away and goes on when it is back") {
  NEEDS_TMUX();
  Operated weir(lettered(1));
  const Tmux tmux(80, 24, script(weir.socket()));
  REQUIRE(tmux.shows("> web/a"));
  weir.process().signal(SIGSTOP);
  REQUIRE(tmux.shows("no answer for"));
  // Keys are heard meanwhile.
  tmux.press({"/", "z"});
  REQUIRE(tmux.shows("/z_"));
  tmux.press({"Escape"});
  weir.process().signal(SIGCONT);
  REQUIRE(tmux.lost("no answer for"));
  weir.restart();
  REQUIRE(eventually([&] {
    return tmux.line_with("weir ").find(fmt::format("pid {}", weir.process().pid())) != std::string::npos;
  }));
  CHECK_THAT(tmux.screen(), Contains("> web/a"));
}

TEST_CASE("top leaves the terminal as it was, however it ends") {
  NEEDS_TMUX();
  Operated weir(lettered(1));
  const std::string end = GENERATE("q", "C-c", "C-\\", "TERM", "HUP");
  CAPTURE(end);
  const Tmux tmux(80, 24, script(weir.socket()));
  REQUIRE(tmux.shows("> web/a"));
  if (end == "TERM" || end == "HUP") {
    const pid_t program = tmux.program();
    REQUIRE(program > 0);  // 0 would be everybody here
    ::kill(program, end == "TERM" ? SIGTERM : SIGHUP);
  } else {
    tmux.press({end});
  }
  REQUIRE(tmux.shows("ended-with 0"));
  CHECK_THAT(tmux.screen(), Contains("before-top") && Contains("same-terminal") && !Contains("web/a"));
}

TEST_CASE("top gives the terminal back while it is stopped and takes it again") {
  NEEDS_TMUX();
  if (missing({"bash"})) return;
  Operated weir(lettered(1));
  const Tmux tmux(80, 24, "exec env PS1='ready> ' bash --norc --noprofile -i");
  REQUIRE(tmux.shows("ready>"));
  tmux.press({fmt::format("{} top --socket {}", weir_binary(), weir.socket()), "Enter"});
  REQUIRE(tmux.shows("> web/a"));
  tmux.press({"C-z"});
  REQUIRE(tmux.shows("Stopped"));
  CHECK_THAT(tmux.screen(), !Contains("> web/a"));
  tmux.press({"stty -a | grep -o ' icanon'", "Enter"});
  REQUIRE(tmux.shows(" icanon\n"));
  tmux.press({"fg", "Enter"});
  REQUIRE(tmux.shows("> web/a"));
  tmux.press({"s"});
  REQUIRE(tmux.shows("sort: name"));
  tmux.press({"q"});
  REQUIRE(tmux.lost("> web/a"));
}

TEST_CASE("top on a socket for looking only says that it may not change anything") {
  NEEDS_TMUX();
  const TempDir dir;
  const FreePort port;
  const FakeBackend backend(lettered(1)[0]);
  SimpleConfig config;
  config.bind = port.v4();
  config.backends = {{"a", backend.address()}};
  config.admin =
      fmt::format("socket = \"{}\"\nread_only_socket = \"{}\"", dir.file("all.sock"), dir.file("look.sock"));
  const WeirDaemon weir(config);
  const Tmux tmux(80, 24, script(dir.file("look.sock")));
  REQUIRE(tmux.shows("> web/a"));
  for (const std::string key : {"d", "e", "w"}) {
    // The daemon may not have said yet what may be done there.
    REQUIRE(eventually([&] {
      tmux.press({"Escape", key});
      return tmux.screen().find("this socket is read-only") != std::string::npos;
    }));
    tmux.press({"Up"});
    REQUIRE(tmux.lost("read-only"));
  }
}

TEST_CASE("top prints once where there is no terminal for it") {
  Operated weir(lettered(1));
  const Finished piped = weir.cli({"top"});
  CHECK(piped.status == 0);
  CHECK_THAT(piped.out, Contains("web") && Contains("BACKEND") && !Contains("\x1b"));
  CHECK(weir.answer({"top", "web"}).at("pools").size() == 1);
  CHECK(weir.cli({"top", "wbe"}).status == 3);
  ProcessOptions dumb;
  dumb.terminal_columns = 80;
  dumb.keyboard = true;
  dumb.environment = {{"TERM", "dumb"}};
  const Finished once = weir.cli({"top"}, dumb);
  CHECK(once.status == 0);
  CHECK_THAT(once.out, Contains("BACKEND") && !Contains("\x1b"));
}

TEST_CASE("top has colours only where it may") {
  Operated weir(lettered(1));
  ProcessOptions options;
  options.terminal_columns = 80;
  options.keyboard = true;
  const bool plain = GENERATE(false, true);
  options.environment = {{"TERM", "xterm"}, {"NO_COLOR", plain ? "1" : ""}};
  Process top({weir_binary(), "top", "--socket", weir.socket()}, options);
  REQUIRE(top.wait_for_out("web/a"));
  CHECK((top.out().find("\x1b[32m") != std::string::npos || top.out().find("\x1b[7m") != std::string::npos) ==
        !plain);
  top.type("q");
  CHECK(top.wait() == 0);
  CHECK(top.terminal_is_plain());
}
