#pragma once

#include <string>

#include "lb/config/load.h"

namespace weir {

/// `weir check`: what is wrong with the file, or how much is in it. The faults go to stderr, as text, either
/// way; with `json` they are the answer on stdout too. The exit status.
int check_file(const std::string& path, bool json, const LoadOptions& options);

/// Loads the file and says its faults and warnings on stderr.
LoadResult load_or_complain(const std::string& path, const LoadOptions& options);

}  // namespace weir
