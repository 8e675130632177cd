#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace weir {

/// What was wrong with the arguments, as the parser has thrown it: a line for the user, with the nearest
/// command or option where one is not known.
std::string usage_complaint(const CLI::App& app, const std::string& complaint,
                            const std::vector<std::string>& arguments);

}  // namespace weir
