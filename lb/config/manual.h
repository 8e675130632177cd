#pragma once

#include <string>
#include <string_view>

#include "lb/config/load.h"

namespace weir {

/// weir.toml(5) in roff, from the table of keys. `date`: of the version, year-month-day.
std::string config_manual(const KnownKinds& kinds, std::string_view version, std::string_view date);

}  // namespace weir
