// Completions in the real shells, of a real Weir.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

#include "tests/support/paths.h"
#include "tests/support/port.h"
#include "tests/support/skip.h"
#include "tests/support/weir_daemon.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// A Weir with three backends, two of which have names that shells take apart.
class Served {
 public:
  Served() : weir_(config()) { write_file(folder_.file("some.toml"), ""); }

  /// For a shell: this Weir is "weir", and the one that is running.
  ProcessOptions options() const {
    const std::string path = std::filesystem::path(weir_binary()).parent_path().string();
    const char* const old = std::getenv("PATH");
    return {.environment = {{"WEIR_SOCKET", socket()},
                            {"PATH", path + ":" + (old != nullptr ? old : "/usr/bin:/bin")},
                            {"HOME", dir_.path().string()}},
            .directory = folder_.path().string()};
  }
  std::string script(const std::string& shell) const {
    const Finished script = run_program({weir_binary(), "completion", shell});
    REQUIRE(script.status == 0);
    write_file(dir_.file(shell), script.out);
    return dir_.file(shell);
  }
  std::string socket() const { return dir_.file("weir.sock"); }
  /// Where the shell is: what is in it, some.toml alone, is offered where a file is meant only.
  const TempDir& folder() const { return folder_; }
  Process& process() { return weir_.process(); }

 private:
  SimpleConfig config() const {
    SimpleConfig config;
    config.bind = port_.v4();
    config.backends = {{"web1", "127.0.0.1:1"}, {"[::1]:80", "[::1]:80"}, {"[::1]:81", "[::1]:81"}};
    config.admin = fmt::format("socket = \"{}\"", socket());
    return config;
  }

  FreePort port_;
  TempDir dir_;
  TempDir folder_;
  WeirDaemon weir_;
};

struct Keys {
  std::string typed;
  std::string becomes;
  std::string how = "one";  ///< "all" puts everything that is possible into the line
};

void check_keys(const Served& served, const std::string& shell, const std::vector<Keys>& keys) {
  const std::string script = served.script(shell);
  for (const Keys& one : keys) {
    CAPTURE(shell, one.typed);
    const Finished line = run_program(
        {"python3", source_path("tests/e2e/type_into_shell.py"), shell, script, one.how, one.typed},
        served.options(), 60s);
    INFO(line.err);
    CHECK(line.out == one.becomes + "\n");
  }
}

}  // namespace

TEST_CASE("bash completes the running Weir's backends, an option's words and files") {
  if (missing({"bash", "python3"})) return;
  const Served served;
  const std::string dir = served.folder().path().string();
  check_keys(served, "bash",
             {{"weir dra", "weir drain "},
              {"weir drain ", "weir drain web/[::1]:80 web/[::1]:81 web/web1 ", "all"},
              {"weir drain web/w", "weir drain web/web1 "},
              {"weir drain web/[", "weir drain web/[::1]:8"},
              {"weir drain web/[::1]:81", "weir drain web/[::1]:81 "},
              {"weir drain 'web/[::1]:81", "weir drain 'web/[::1]:81' "},
              {"weir drain web/web1 --then=cl", "weir drain web/web1 --then=close "},
              {"weir status -o ", "weir status -o json table ", "all"},
              {"weir check -c ", "weir check -c some.toml "},
              {"weir check --config=" + dir + "/so", "weir check --config=" + dir + "/some.toml "},
              {"weir drain --timeout ", "weir drain --timeout "},
              {"weir reload ", "weir reload "}});
}

TEST_CASE("zsh completes the running Weir's backends, an option's words and files") {
  if (missing({"zsh", "python3"})) return;
  const Served served;
  const std::string dir = served.folder().path().string();
  check_keys(served, "zsh",
             {{"weir dra", "weir drain "},
              {"weir drain ", R"(weir drain web/\[::1\]:80 web/\[::1\]:81 web/web1 )", "all"},
              {"weir drain web/w", "weir drain web/web1 "},
              {R"(weir drain web/\[)", R"(weir drain web/\[::1\]:8)"},
              {R"(weir drain web/\[::1\]:81)", R"(weir drain web/\[::1\]:81 )"},
              {"weir drain 'web/[::1]:81", "weir drain 'web/[::1]:81' "},
              {"weir drain web/web1 --then=cl", "weir drain web/web1 --then=close "},
              {"weir status -o ", "weir status -o json table ", "all"},
              {"weir check -c ", "weir check -c some.toml "},
              {"weir check --config=" + dir + "/so", "weir check --config=" + dir + "/some.toml "},
              {"weir drain --timeout ", "weir drain --timeout "},
              {"weir reload ", "weir reload "}});
}

TEST_CASE("fish completes the running Weir's backends, an option's words and files") {
  if (missing({"fish"})) return;
  const Served served;
  const std::string script = served.script("fish");
  const std::string file = served.folder().file("some.toml");
  const std::vector<Keys> lines{
      {"weir drain ", "web/web1\tup, 127.0.0.1:1\nweb/[::1]:80\tup, [::1]:80\nweb/[::1]:81\tup, [::1]:81\n"},
      {"weir drain web/[::1]:81", "web/[::1]:81\tup, [::1]:81\n"},
      {"weir drain web/web1 --then ", "close\nleave\n"},
      {"weir drain --then=", "--then=close\n--then=leave\n"},
      {"weir drai", "drain\tno new sessions; live ones and probes go on\n"},
      {"weir check -c ", "some.toml\n"},
      {"weir check --config=" + file.substr(0, file.size() - 4), "--config=" + file + "\n"},
      {"weir drain --timeout ", ""},
      {"weir reload ", ""}};
  for (const Keys& one : lines) {
    CAPTURE(one.typed);
    const Finished fish = run_program(
        {"fish", "--no-config", "-c", fmt::format("source {}; complete -C '{}'", script, one.typed)},
        served.options(), 60s);
    INFO(fish.err);
    CHECK(fish.out == one.becomes);
  }
}

TEST_CASE("without a daemon, or with one that hangs, completions say nothing, and soon") {
  Served served;
  const auto ask = [&](const std::string& socket) {
    const auto begin = Clock::now();
    const Finished done = run_program({weir_binary(), "complete", "drain", "--socket", socket, ""});
    CHECK(done.status == 0);
    CHECK(done.out == "values\n");
    CHECK(done.err.empty());
    return Clock::now() - begin;
  };
  ask("/nonexistent/weir.sock");
  served.process().signal(SIGSTOP);
  CHECK(ask(served.socket()) < 3s);
  served.process().signal(SIGCONT);
}
