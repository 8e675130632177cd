#pragma once

#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace weir {

/// The commands that talk to a running Weir, and those that describe the command line itself (completion,
/// man). Keep it alive until app.parse() has returned; `run`, `check` and `version` are the caller's.
class CommandLine {
 public:
  explicit CommandLine(CLI::App& app);
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
