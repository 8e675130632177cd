#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/cli/command_line.h"
#include "lb/cli/commands.h"

namespace weir {

// The options of all commands: one parser, of which each file adds some commands.

inline constexpr auto kTargetHelp = "either part may be a glob (web/web*)";

/// On stdout; kExitDone.
int say(std::string_view text);
/// What is wrong with it, for the parser; "" = nothing.
std::string check_duration(const std::string& text);
/// A variable of a script that is empty must not mean everything.
std::string check_given(const std::string& text);
void add_remark(CLI::App* command, RemarkOptions& remark);
void add_filter(CLI::App* command, FilterOptions& filter);

struct CommandLine::State {
  State(CLI::App& to, std::string own_version, LocalCommands own);

  /// A command of the daemon's: with --socket and -o, an example, and what it does.
  CLI::App* add(const std::string& name, const std::string& what, const std::string& examples,
                std::function<int()> act);
  void add_socket(CLI::App* command);
  void add_timeout(CLI::App* command);
  void add_output(CLI::App* command);
  void add_file(CLI::App* command);

  // command_line_looks.cpp
  void add_status();
  void add_top();
  void add_sessions();
  void add_past_and_why();
  int explain_client();
  // command_line_changes.cpp
  void add_drain();
  void add_changes();
  void add_members();
  void add_ends();
  // command_line_process.cpp
  void add_local();
  void add_process();
  void add_descriptions();

  CLI::App& app;
  const std::string version;
  const LocalCommands local;
  CommonOptions common;
  std::string file = "/etc/weir/weir.toml";
  std::string target, second, third;
  DrainOptions drain;
  RemarkOptions remark;
  std::string timeout, spread, grace, since, then = "leave";
  bool follow = false;
  FilterOptions filter;
  ListOptions listing;
  ExplainOptions caller;
  std::uint32_t weight = 1;
  std::uint64_t max_sessions = 0;
  std::uint32_t rate = 0;
  std::string pace = "5/s";
  double factor = 1.1;
  std::vector<std::string> targets;
  bool flag = false, force = false, ready = false;
  std::function<int()> chosen;
};

}  // namespace weir
