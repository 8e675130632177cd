#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lb/base/error.h"

namespace weir {

/// `text` in gzip's format, quickly rather than small: some 100 MB/s. Any thread.
std::string gzip(std::string_view text);
/// The reverse, up to `most_bytes`. Any thread.
Result<std::string> gunzip(std::string_view compressed, std::size_t most_bytes);

}  // namespace weir
