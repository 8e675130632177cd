#pragma once

#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace weir {

/// All commands but the daemon's own (`run`, `check`): those that talk to a running Weir, and those that
/// describe the program (version, completion, man). Outlives app.parse().
class CommandLine {
 public:
  CommandLine(CLI::App& app, std::string version);
  ~CommandLine();

  /// Whether the command that was parsed is one of these: then `run` it.
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
