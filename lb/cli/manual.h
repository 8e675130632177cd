#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace weir {

/// weir(8) in roff, from the descriptions in `app`, so that it never differs from --help. `date`: of the
/// version, year-month-day.
std::string command_manual(const CLI::App& app, std::string_view version, std::string_view date);

}  // namespace weir
