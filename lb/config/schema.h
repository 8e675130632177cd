#pragma once

#include <string>

#include "lb/config/load.h"

namespace weir {

/// The JSON Schema (draft 7) of the file, from the table of keys: for editors and other tools that know TOML.
/// It refuses nothing that the loader takes; what only the whole file, the host or the environment tells (a
/// name used twice, a missing directory, the value of `${NAME}`) it cannot know.
std::string config_schema(const KnownKinds& kinds);

}  // namespace weir
