#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace weir {

/// What needs the rooms that this one does not know. Each returns the exit status.
struct LocalCommands {
  std::function<int(const std::string& file)> run;
  std::function<int(const std::string& file, bool json)> check;
};

/// All commands and their options: help, completions and manual page come from here alone. Outlives
/// app.parse().
class CommandLine {
 public:
  CommandLine(CLI::App& app, std::string version, LocalCommands local = {});
  ~CommandLine();

  /// What was wrong with the arguments (without the program's name), as app.parse() has thrown it: a line for
  /// the user, with the nearest command or option where one is not known.
  std::string explain(const std::string& complaint, const std::vector<std::string>& arguments) const;

  /// Whether a command was parsed: then `run` it.
  bool chosen() const;
  int run() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "-o,--output" as {"-o", "--output"}; nothing for a positional.
std::vector<std::string> flags_of(const CLI::Option& option);

/// From the descriptions in `app`, so that they never differ from --help.
std::string shell_completion(const CLI::App& app, const std::string& shell);
std::string man_page(const CLI::App& app, const std::string& version);

}  // namespace weir
