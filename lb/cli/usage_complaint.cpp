#include "lb/cli/usage_complaint.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "lb/base/nearest.h"
#include "lb/cli/syntax.h"

namespace weir {

std::string usage_complaint(const CLI::App& app, const std::string& complaint,
                            const std::vector<std::string>& arguments) {
  const auto known_as = [](std::string_view name, const std::vector<std::string>& names) {
    const std::vector<std::string_view> candidates(names.begin(), names.end());
    const auto best = nearest(name, candidates);
    return is_near(name, best) ? fmt::format("; did you mean {}?", best) : std::string();
  };
  if (arguments.empty()) return "a command is needed; weir --help lists them";
  const CLI::App* command = nullptr;
  std::vector<std::string> commands;
  for (const CLI::App* one : shown_commands(app)) {
    if (one->get_name() == arguments[0]) command = one;
    commands.push_back(one->get_name());
  }
  if (command == nullptr && !arguments[0].starts_with('-'))
    return fmt::format("there is no command \"{}\"{}{}", arguments[0], known_as(arguments[0], commands),
                       "; weir --help lists them");
  const CLI::App& of = command != nullptr ? *command : app;
  const std::string name = command != nullptr ? "weir " + command->get_name() : "weir";
  std::vector<std::string> flags;
  for (const auto* option : of.get_options())
    for (const auto& flag : flags_of(*option)) flags.push_back(flag);
  for (const auto& argument : arguments) {
    const std::string flag = argument.substr(0, argument.find('='));
    const bool short_with_value = flag.size() > 2 && flag[0] == '-' && flag[1] != '-' &&
                                  std::ranges::find(flags, flag.substr(0, 2)) != flags.end();
    if (flag == "--") break;
    if (flag.size() < 2 || flag[0] != '-' || short_with_value ||
        std::ranges::find(flags, flag) != flags.end())
      continue;
    return fmt::format("{} has no option {}{}; {} --help lists them", name, flag, known_as(flag, flags),
                       name);
  }
  return fmt::format("{}; {} --help says more", complaint, name);
}

}  // namespace weir
