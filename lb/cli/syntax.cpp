#include "lb/cli/syntax.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

namespace weir {
namespace {

constexpr std::size_t kColumn = 30;

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (bool more = true; more;) {
    const auto end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    more = end != std::string_view::npos;
    if (more) text.remove_prefix(end + 1);
  }
  return parts;
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

bool is_small(const std::string& text) {
  return !text.empty() && std::islower(static_cast<unsigned char>(text.front())) != 0;
}

std::string row(const std::string& name, const std::string& what) {
  if (name.size() + 3 > kColumn) return fmt::format("  {}\n{:{}}{}\n", name, "", kColumn, what);
  return fmt::format("  {:{}}{}\n", name, kColumn - 2, what);
}

}  // namespace

ValueName value_of(const CLI::Option& option) {
  // "NAME:{word,word}": what the library adds to a name are its checks, of which only a list of words tells
  // more.
  const std::string described = option.get_type_name();
  const auto colon = described.find(':');
  const auto open = described.find(":{");
  ValueName value{.shown = described.substr(0, colon), .words = {}};
  if (open != std::string::npos) {
    value.words = split(std::string_view(described).substr(open + 2, described.find('}') - open - 2), ',');
    value.shown = fmt::format("{}", fmt::join(value.words, "|"));
    return value;
  }
  if (value.shown.empty() && option.get_positional()) value.shown = upper(option.get_name(true));
  for (const std::string& part : split(value.shown, '|'))
    if (is_small(part)) value.words.push_back(part);
  return value;
}

std::vector<std::string> flags_of(const CLI::Option& option) {
  std::vector<std::string> out;
  for (const auto& name : option.get_snames()) out.push_back("-" + name);
  for (const auto& name : option.get_lnames()) out.push_back("--" + name);
  return out;
}

std::string flags_and_value(const CLI::Option& option) {
  const std::string value = value_of(option).shown;
  return fmt::format("{}{}{}", fmt::join(flags_of(option), ", "), value.empty() ? "" : " ", value);
}

std::vector<const CLI::App*> shown_commands(const CLI::App& app) {
  const auto commands =
      app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
  return {commands.begin(), commands.end()};
}

std::vector<const CLI::Option*> options_of(const CLI::App& command) {
  return command.get_options([](const CLI::Option* option) { return !option->get_positional(); });
}

std::vector<const CLI::Option*> operands_of(const CLI::App& command) {
  return command.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

bool repeats(const CLI::Option& option) {
  return option.get_expected_max() > 1;
}

std::string synopsis_of(const CLI::App& command) {
  if (command.get_parent() == nullptr) return "weir [OPTION]... COMMAND";
  std::string out = fmt::format("weir {} [OPTION]...", command.get_name());
  for (const auto* operand : operands_of(command)) {
    const std::string name = value_of(*operand).shown + (repeats(*operand) ? "..." : "");
    out += operand->get_required() ? " " + name : fmt::format(" [{}]", name);
  }
  return out;
}

std::vector<std::string> examples_of(const CLI::App& command) {
  std::vector<std::string> lines;
  for (const std::string& line : split(command.get_footer(), '\n'))
    if (line.starts_with("  ")) lines.push_back(line.substr(2));
  return lines;
}

std::string help_text(const CLI::App& command) {
  std::string out = fmt::format("{}\nUsage: {}\n", command.get_description(), synopsis_of(command));
  const auto operands = operands_of(command);
  if (!operands.empty()) out += "\nArguments:\n";
  for (const auto* operand : operands) out += row(value_of(*operand).shown, operand->get_description());
  out += "\nOptions:\n";
  for (const auto* option : options_of(command))
    out += row(flags_and_value(*option), option->get_description());
  const auto commands = shown_commands(command);
  if (!commands.empty()) out += "\nCommands:\n";
  for (const auto* one : commands) out += row(one->get_name(), one->get_description());
  const auto examples = examples_of(command);
  if (!examples.empty()) out += "\nExamples:\n";
  for (const auto& line : examples) out += fmt::format("  {}\n", line);
  return out;
}

}  // namespace weir
