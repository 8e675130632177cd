#include "lb/cli/manual.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <map>

#include "lb/base/build.h"
#include "lb/base/roff.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/syntax.h"

namespace weir {
namespace {

struct Item {
  std::string_view tag;
  std::string_view prose;
};

constexpr std::string_view kAbout =
    "Weir gives each new TCP connection to one server of a fleet and moves the bytes both ways until both "
    "sides "
    "are done. \"weir run\" is the daemon; the other commands talk to it over its admin socket. What it "
    "listens "
    "on and which servers there are is in its configuration, which weir.toml(5) describes.";

constexpr std::string_view kNotes =
    "POOL and BACKEND are names of the configuration; of a POOL/BACKEND both may have * and ? in them "
    "where a command says so. A DURATION is a number and a unit, ms, s, m or h: 1.5s. Every command may be "
    "given again without harm, and answers only when what it says is true.";

const Item kFiles[] = {
    {kBuild.config_file, "The configuration, unless -c names another file."},
    {"/run/weir/weir.sock", "The admin socket, unless the configuration's admin.socket says otherwise."},
    {"/var/lib/weir/state.json",
     "What operators have said, kept over restarts, unless state_file says otherwise."},
    {"$XDG_RUNTIME_DIR/weir/weir.sock, $XDG_STATE_HOME/weir/state.json",
     "The same of an ordinary user's Weir where there is no /run/weir; without XDG_STATE_HOME in "
     "~/.local/state, and where /var/lib/weir is the user's to write there."},
};

constexpr Item kSignals[] = {
    {"SIGTERM, SIGINT",
     "No new sessions; live ones may finish within shutdown_grace, what is left is reset, and the exit "
     "status "
     "is 0. A second one ends at once, with exit status 1 when that cut sessions."},
    {"SIGHUP", "Reload, as \"weir reload\" does."},
    {"SIGUSR1", "Open the log files anew, after they have been renamed."},
};

constexpr Item kEnvironment[] = {
    {"WEIR_SOCKET", "The admin socket, when --socket is not given."},
    {"NO_COLOR", "No colour, when it is set."},
};

struct Meaning {
  ExitStatus status;
  std::string_view prose;
};
constexpr Meaning kMeanings[] = {
    {kExitDone, "Done."},
    {kExitFailed, "Failed, a faulty configuration, or an answer that could not be written."},
    {kExitUsage, "Wrong usage."},
    {kExitUnknownName, "No such pool, backend or listener."},
    {kExitTimedOut, "Timed out: sessions are left."},
    {kExitNoDaemon, "No daemon at that socket, no right to talk to it, or no answer in time."},
};

/// A description of the command line as a sentence.
std::string sentence(std::string text) {
  if (text.empty()) return text;
  // What begins with a key's or a command's name keeps it.
  const auto end = text.find(' ');
  if (text.substr(0, end).find_first_of("_/:") == std::string::npos)
    text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text.ends_with('.') ? text : text + ".";
}

std::string item(std::string_view tag, std::string_view prose) {
  return fmt::format(".TP\n\\fB{}\\fR\n{}", roff_word(tag), roff_prose(prose));
}

template <std::size_t count>
std::string section(std::string_view name, const Item (&items)[count]) {
  std::string out = fmt::format(".SH {}\n", name);
  for (const Item& one : items) out += item(one.tag, one.prose);
  return out;
}

std::string option_item(const CLI::Option& option) {
  const std::string value = value_of(option).shown;
  return fmt::format(".TP\n\\fB{}\\fR{}\n{}", roff_word(fmt::format("{}", fmt::join(flags_of(option), ", "))),
                     value.empty() ? "" : fmt::format(" \\fI{}\\fR", roff_word(value)),
                     roff_prose(sentence(option.get_description())));
}

/// Options that most commands have with the same words are told once.
using Shared = std::map<std::string, const CLI::Option*>;

std::string key_of(const CLI::Option& option) {
  return flags_and_value(option) + "\n" + option.get_description();
}

Shared shared_options(const std::vector<const CLI::App*>& commands) {
  std::map<std::string, std::size_t> counts;
  Shared shared;
  for (const auto* command : commands)
    for (const auto* option : options_of(*command))
      if (++counts[key_of(*option)] * 2 > commands.size()) shared[key_of(*option)] = option;
  return shared;
}

std::string command_section(const CLI::App& command, const Shared& shared) {
  std::string out = fmt::format(".SS {}\n{}", roff_word(synopsis_of(command)),
                                roff_prose(sentence(command.get_description())));
  for (const auto* operand : operands_of(command))
    out += fmt::format(".TP\n\\fI{}\\fR\n{}", roff_word(value_of(*operand).shown),
                       roff_prose(sentence(operand->get_description())));
  for (const auto* option : options_of(command))
    if (!shared.contains(key_of(*option))) out += option_item(*option);
  return out;
}

std::string examples(const std::vector<const CLI::App*>& commands) {
  std::string out = ".SH EXAMPLES\n";
  for (const auto* command : commands) {
    const auto lines = examples_of(*command);
    if (lines.empty()) continue;
    out += fmt::format("{}{}", out.ends_with("EXAMPLES\n") ? "" : ".PP\n",
                       roff_prose(sentence(command->get_description())));
    out += roff_literal(fmt::format("{}", fmt::join(lines, "\n")));
  }
  return out;
}

}  // namespace

std::string command_manual(const CLI::App& app, std::string_view version, std::string_view date) {
  const auto commands = shown_commands(app);
  const Shared shared = shared_options(commands);
  std::string out = fmt::format(
      ".TH WEIR 8 \"{}\" \"weir {}\" \"System Administration\"\n.SH NAME\nweir \\- a Layer\\-4 TCP load "
      "balancer\n.SH SYNOPSIS\n.B weir\n\\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.SH DESCRIPTION\n",
      date, version);
  out += roff_prose(kAbout) + ".PP\n" + roff_prose(kNotes);
  out += ".SH OPTIONS\n" + roff_prose("Those that are the same for most commands.");
  for (const auto& [key, option] : shared) out += option_item(*option);
  out += ".SH COMMANDS\n";
  for (const auto* command : commands) out += command_section(*command, shared);
  out += section("ENVIRONMENT", kEnvironment) + section("FILES", kFiles) + section("SIGNALS", kSignals);
  out += ".SH EXIT STATUS\n";
  for (const Meaning& one : kMeanings) out += item(std::to_string(one.status), one.prose);
  return out + examples(commands) + ".SH SEE ALSO\n.BR weir.toml (5),\n.BR weir\\-metrics (7)\n";
}

}  // namespace weir
