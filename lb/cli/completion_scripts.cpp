// Completions and the manual page, from the same descriptions as --help.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "lb/cli/command_line.h"

namespace weir {

std::vector<std::string> flags_of(const CLI::Option& option) {
  std::vector<std::string> out;
  for (const auto& name : option.get_snames()) out.push_back("-" + name);
  for (const auto& name : option.get_lnames()) out.push_back("--" + name);
  return out;
}

namespace {

std::vector<const CLI::App*> shown_commands(const CLI::App& app) {
  auto commands = app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
  return {commands.begin(), commands.end()};
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  return fmt::format("{}", fmt::join(words, between));
}

/// Text within single quotes of a shell.
std::string quoted_for_shell(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '-') out += '\\';
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    out += c;
  }
  return out;
}

std::string bash_completion(const CLI::App& app) {
  std::string cases;
  std::vector<std::string> names;
  for (const auto* command : shown_commands(app)) {
    names.push_back(command->get_name());
    std::vector<std::string> flags;
    for (const auto* option : command->get_options())
      for (const auto& flag : flags_of(*option)) flags.push_back(flag);
    cases += fmt::format("    {}) words='{}' ;;\n", command->get_name(), joined(flags, " "));
  }
  return fmt::format(
      "_weir() {{\n  local words='{}'\n  if [ \"$COMP_CWORD\" -gt 1 ]; then\n    case \"${{COMP_WORDS[1]}}\" "
      "in\n{}"
      "    *) words='' ;;\n    esac\n  fi\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\n"
      "complete -o default -F _weir weir\n",
      joined(names, " "), cases);
}

std::string zsh_completion(const CLI::App& app) {
  std::string commands, cases;
  for (const auto* command : shown_commands(app)) {
    commands +=
        fmt::format("    {}\n", quoted_for_shell(command->get_name() + ":" + command->get_description()));
    std::vector<std::string> flags;
    for (const auto* option : command->get_options())
      for (const auto& flag : flags_of(*option)) flags.push_back(flag);
    cases += fmt::format("    {}) compadd -- {} ;;\n", command->get_name(), joined(flags, " "));
  }
  return fmt::format(
      "#compdef weir\n_weir() {{\n  local -a commands=(\n{}  )\n  if (( CURRENT == 2 )); then\n"
      "    _describe command commands\n    return\n  fi\n  case $words[2] in\n{}  esac\n  _files\n}}\n_weir "
      "\"$@\"\n",
      commands, cases);
}

std::string fish_completion(const CLI::App& app) {
  std::string out;
  for (const auto* command : shown_commands(app)) {
    const auto& name = command->get_name();
    out += fmt::format("complete -c weir -n __fish_use_subcommand -f -a {} -d {}\n", name,
                       quoted_for_shell(command->get_description()));
    for (const auto* option : command->get_options()) {
      if (option->get_positional()) continue;
      out += fmt::format("complete -c weir -n '__fish_seen_subcommand_from {}'", name);
      for (const auto& letter : option->get_snames()) out += " -s " + letter;
      for (const auto& word : option->get_lnames()) out += " -l " + word;
      out += fmt::format(" -d {}\n", quoted_for_shell(option->get_description()));
    }
  }
  return out;
}

std::string man_of_command(const CLI::App& command) {
  std::string synopsis = roff("weir " + command.get_name());
  std::string options;
  for (const auto* option : command.get_options()) {
    const auto flags = flags_of(*option);
    if (flags.empty()) {
      const auto name = option->get_name(true);
      synopsis += option->get_required() ? fmt::format(" \\fI{}\\fR", roff(name))
                                         : fmt::format(" [\\fI{}\\fR]", roff(name));
      options += fmt::format(".TP\n\\fI{}\\fR\n{}\n", roff(name), roff(option->get_description()));
    } else if (flags.back() != "--help") {
      const auto value = option->get_type_name();
      options +=
          fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", roff(joined(flags, ", ")),
                      value.empty() ? "" : " \\fI" + roff(value) + "\\fR", roff(option->get_description()));
    }
  }
  std::string out =
      fmt::format(".SS {}\n{}\n.PP\n.RS\n{}.RE\n", synopsis, roff(command.get_description()), options);
  if (const auto examples = command.get_footer(); !examples.empty())
    out += fmt::format(".PP\n.nf\n{}\n.fi\n", roff(examples));
  return out;
}

}  // namespace

std::string shell_completion(const CLI::App& app, const std::string& shell) {
  if (shell == "zsh") return zsh_completion(app);
  if (shell == "fish") return fish_completion(app);
  return bash_completion(app);
}

std::string man_page(const CLI::App& app, const std::string& version) {
  std::string out = fmt::format(
      ".TH WEIR 8 \"\" \"weir {}\"\n.SH NAME\nweir \\- a Layer\\-4 TCP load balancer\n"
      ".SH SYNOPSIS\n.B weir\n\\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n.SH COMMANDS\n",
      version);
  for (const auto* command : shown_commands(app)) out += man_of_command(*command);
  out +=
      ".SH ENVIRONMENT\n.TP\n.B WEIR_SOCKET\nthe admin socket, when \\-\\-socket is not given\n"
      ".TP\n.B NO_COLOR\nno colour, when set\n"
      ".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nfailed, or a bad configuration\n.TP\n2\nwrong usage\n"
      ".TP\n3\nno such pool or backend\n.TP\n4\ntimed out\n.TP\n5\nno daemon at that socket, or no right to "
      "talk to it\n";
  return out;
}

}  // namespace weir
