#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lb/config/load.h"

namespace weir {

/// Faults or warnings as both the CLI and the admin API print them: file, line, column, message of each.
nlohmann::ordered_json json_of(const std::vector<Fault>& faults, const std::string& file);

}  // namespace weir
