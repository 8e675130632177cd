#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace weir {

/// What needs the rooms that this one does not know. Each returns the exit status.
struct LocalCommands {
  std::function<int(const std::string& file)> run;
  std::function<int(const std::string& file, bool json)> check;
  /// `from`: "" = by the text, else "haproxy", "nginx" or "nlb".
  std::function<int(const std::string& file, const std::string& from)> convert = {};
  std::function<std::string(const std::string& page)> manual = {};  ///< "weir" or "weir.toml", in roff
  std::function<std::string()> schema = {};                         ///< of the configuration
};

/// The command that the scripts of the shells ask, on behalf of whoever presses a key. It is not in the help.
inline constexpr std::string_view kCompleteCommand = "complete";

/// All commands and their options: help, completions and manual page come from here alone. Outlives
/// app.parse().
class CommandLine {
 public:
  CommandLine(CLI::App& app, std::string version, LocalCommands local = {});
  ~CommandLine();

  /// What was wrong with the arguments (without the program's name), as app.parse() has thrown it: a line for
  /// the user, with the nearest command or option where one is not known.
  std::string explain(const std::string& complaint, const std::vector<std::string>& arguments) const;

  /// Prints what may stand for the last of `words`, which are those after "weir". Always 0.
  int complete(const std::vector<std::string>& words) const;

  /// Whether a command was parsed: then `run` it.
  bool chosen() const;
  int run() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir
