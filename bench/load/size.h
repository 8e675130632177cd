#pragma once

#include <string_view>

#include "lb/base/error.h"

namespace weir::load {

/// Reads a number of bytes, or of bytes a second: "64Ki", "1.5G", "300". k, M and G are powers of 1000; Ki,
/// Mi and Gi of 1024. At least 1, at most 2^50, so that every whole result is exact in a double.
Result<double> parse_size(std::string_view text);

}  // namespace weir::load
