#pragma once

#include <functional>
#include <memory>
#include <string>

namespace CLI {
class App;
}

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

  /// Whether a command was parsed: then `run` it.
  bool chosen() const;
  int run() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// From the descriptions in `app`, so that they never differ from --help.
std::string shell_completion(const CLI::App& app, const std::string& shell);
std::string man_page(const CLI::App& app, const std::string& version);

}  // namespace weir
