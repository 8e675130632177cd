#include "tests/support/tmux.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace weir::test {

Tmux::Tmux(int columns, int lines, const std::string& script,
           const std::vector<std::pair<std::string, std::string>>& environment) {
  options_.environment = {{"TMUX_TMPDIR", dir_.path().string()}, {"TMUX", ""}, {"LC_ALL", "C.UTF-8"}};
  options_.environment.insert(options_.environment.end(), environment.begin(), environment.end());
  std::ofstream(dir_.file("script")) << script;
  std::ofstream(dir_.file("conf")) << "set -g status off\nset -g default-terminal "
                                      "tmux-256color\nset -g remain-on-exit on\n";
  const Finished made = tmux({"-f", dir_.file("conf"), "new-session", "-d", "-x", std::to_string(columns),
                              "-y", std::to_string(lines), "sh", dir_.file("script")});
  if (made.status != 0) throw std::runtime_error("tmux: " + made.err);
}

Tmux::~Tmux() {
  tmux({"kill-server"});
}

Finished Tmux::tmux(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {"tmux", "-u", "-L", "weir"});
  return run_program(std::move(arguments), options_);
}

void Tmux::press(const std::vector<std::string>& keys) const {
  for (const auto& key : keys) {
    const Finished pressed = tmux({"send-keys", key});
    if (pressed.status != 0) throw std::runtime_error("tmux: " + pressed.err);
  }
}

void Tmux::resize(int columns, int lines) const {
  const Finished resized =
      tmux({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(lines)});
  if (resized.status != 0) throw std::runtime_error("tmux: " + resized.err);
}

std::string Tmux::screen() const {
  return tmux({"capture-pane", "-p"}).out;
}

std::vector<std::string> Tmux::lines() const {
  std::vector<std::string> out;
  std::istringstream in(screen());
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

bool Tmux::shows(const std::string& text) const {
  return eventually([&] { return screen().find(text) != std::string::npos; });
}

bool Tmux::lost(const std::string& text) const {
  return eventually([&] { return screen().find(text) == std::string::npos; });
}

std::string Tmux::line_with(const std::string& text) const {
  for (const auto& line : lines())
    if (line.find(text) != std::string::npos) return line;
  return "";
}

pid_t Tmux::program() const {
  const std::string shell = tmux({"list-panes", "-F", "#{pane_pid}"}).out;
  const std::string pid = shell.substr(0, shell.find('\n'));
  pid_t child = 0;
  std::ifstream(fmt::format("/proc/{0}/task/{0}/children", pid)) >> child;
  return child;
}

}  // namespace weir::test
