#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace weir {

// How the help, the manual and the completions read one command line. What they say is taken from here, and
// never from the words in which the library of the parser describes itself.

/// The value of an option, or an operand.
struct ValueName {
  std::string shown;               ///< "DURATION", "table|json", "POOL/BACKEND"; "" of an option without one
  std::vector<std::string> words;  ///< those that can be meant literally: the parts in small letters
};
ValueName value_of(const CLI::Option& option);

/// "-o,--output" as {"-o", "--output"}; nothing for an operand.
std::vector<std::string> flags_of(const CLI::Option& option);
/// "-o, --output table|json"
std::string flags_and_value(const CLI::Option& option);

std::vector<const CLI::App*> shown_commands(const CLI::App& app);
std::vector<const CLI::Option*> options_of(const CLI::App& command);
std::vector<const CLI::Option*> operands_of(const CLI::App& command);
/// Whether it may be given again and again.
bool repeats(const CLI::Option& option);
/// "weir drain [OPTION]... POOL/BACKEND"
std::string synopsis_of(const CLI::App& command);
/// The lines of the examples, without their indent.
std::vector<std::string> examples_of(const CLI::App& command);

/// --help.
std::string help_text(const CLI::App& command);

}  // namespace weir
