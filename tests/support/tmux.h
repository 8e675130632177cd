#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace weir::test {

/// A real terminal: a window of a tmux of its own, in which `script` is run by sh. Throws where tmux does not
/// do as it is told.
class Tmux {
 public:
  Tmux(int columns, int lines, const std::string& script,
       const std::vector<std::pair<std::string, std::string>>& environment = {});
  ~Tmux();
  Tmux(const Tmux&) = delete;
  Tmux& operator=(const Tmux&) = delete;

  /// By tmux's names: "Down", "C-c", "NPage"; anything else is typed.
  void press(const std::vector<std::string>& keys) const;
  void resize(int columns, int lines) const;
  /// What the window shows, a line each, without the blanks at their ends.
  std::vector<std::string> lines() const;
  std::string screen() const;
  /// Waits until it shows that, or does not any more.
  bool shows(const std::string& text) const;
  bool lost(const std::string& text) const;
  /// The line with that; "" when there is none.
  std::string line_with(const std::string& text) const;
  /// The program that the shell of the script waits for.
  pid_t program() const;

 private:
  Finished tmux(std::vector<std::string> arguments) const;

  TempDir dir_;
  ProcessOptions options_;
};

}  // namespace weir::test
