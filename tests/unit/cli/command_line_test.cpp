#include "lb/cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>

#include "lb/base/roff.h"
#include "lb/base/standard_places.h"
#include "lb/cli/client.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/manual.h"
#include "lb/cli/syntax.h"

using namespace weir;

namespace {

/// The exit status of a command line that talks to nobody: 5 when it would have.
int run(std::vector<std::string> words) {
  CLI::App app("weir");
  app.require_subcommand(1);
  const CommandLine commands(app, "0.1.0");
  if (!words.empty() && words[0] != "completion")
    words.insert(words.begin() + 1, {"--socket", "/nonexistent/weir.sock"});
  std::reverse(words.begin(), words.end());
  try {
    app.parse(words);
  } catch (const CLI::ParseError&) {
    return kExitUsage;
  }
  return commands.chosen() ? commands.run() : -1;
}

}  // namespace

TEST_CASE("a command that finds no daemon exits 5") {
  const auto words =
      GENERATE(std::vector<std::string>{"status"}, std::vector<std::string>{"drain", "web/web1"},
               std::vector<std::string>{"drain", "web/web1", "--timeout", "3s", "--then", "close"},
               std::vector<std::string>{"weight", "web/web1", "5"},
               std::vector<std::string>{"add", "web", "a", "10.0.0.1:80", "--backup"},
               std::vector<std::string>{"remove", "web/a"}, std::vector<std::string>{"kill", "1-1"},
               std::vector<std::string>{"kill", "--client", "10.0.0.0/8"},
               std::vector<std::string>{"explain", "web", "10.0.0.1"},
               std::vector<std::string>{"reload", "-o", "json"}, std::vector<std::string>{"upgrade"},
               std::vector<std::string>{"check", "--diff", "-c", "/dev/null"});
  CAPTURE(words);
  CHECK(run(words) == kExitNoDaemon);
}

TEST_CASE("a command line that makes no sense exits 2") {
  const auto words = GENERATE(
      std::vector<std::string>{}, std::vector<std::string>{"statsu"}, std::vector<std::string>{"drain"},
      std::vector<std::string>{"drain", "web1"}, std::vector<std::string>{"drain", "web/"},
      std::vector<std::string>{"drain", "web/web1", "--then", "close"},
      std::vector<std::string>{"drain", "web/web1", "--timeout", "3"},
      std::vector<std::string>{"drain", "web/web1", "--wait", "--spread", "3s"},
      std::vector<std::string>{"drain", "web/web1", "--then", "explode"}, std::vector<std::string>{"kill"},
      std::vector<std::string>{"status", "-o", "yaml"}, std::vector<std::string>{"add", "web", "a"},
      std::vector<std::string>{"add", "web", "a", "10.0.0.1:80", "--weight", "0"},
      std::vector<std::string>{"completion", "tcsh"});
  CAPTURE(words);
  CHECK(run(words) == kExitUsage);
}

TEST_CASE("the manual and the help know every command, by their own words alone") {
  CLI::App app("weir");
  const CommandLine commands(app, "0.1.0");
  std::string help = app.help();
  for (const CLI::App* command : shown_commands(app)) help += command->help();
  const std::string manual = command_manual(app, "0.1.0", "2026-01-31");
  for (const auto* command : shown_commands(app)) {
    CAPTURE(command->get_name());
    CHECK(help.find(synopsis_of(*command)) != std::string::npos);
    CHECK(manual.find(".SS " + roff_word(synopsis_of(*command)) + "\n") != std::string::npos);
    for (const auto* option : options_of(*command))
      CHECK(help.find(flags_and_value(*option)) != std::string::npos);
  }
  for (const auto* section :
       {"SYNOPSIS", "OPTIONS", "ENVIRONMENT", "FILES", "SIGNALS", "EXIT STATUS", "EXAMPLES"})
    CHECK(manual.find(fmt::format(".SH {}\n", section)) != std::string::npos);
  for (const std::string& text : {help, manual})
    for (const auto* foreign :
         {"REQUIRED", ":{", ":INT", "UINT", "[OPTIONS]", "SUBCOMMAND", "Positionals", " in [", "complete "}) {
      CAPTURE(foreign);
      CHECK(text.find(foreign) == std::string::npos);
    }
}

TEST_CASE("the socket is the one given, else the environment's, else the default") {
  ::unsetenv("WEIR_SOCKET");
  CHECK(admin_socket("") == standard_places().admin_socket);
  ::setenv("WEIR_SOCKET", "/tmp/x.sock", 1);
  CHECK(admin_socket("") == "/tmp/x.sock");
  CHECK(admin_socket("/tmp/y.sock") == "/tmp/y.sock");
  ::unsetenv("WEIR_SOCKET");
}
