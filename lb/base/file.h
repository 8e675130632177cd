#pragma once

#include <cstdint>
#include <string>

#include "lb/base/duration.h"
#include "lb/base/error.h"

namespace weir {

/// The whole of a file, or of what comes out of a pipe, a terminal or a device until its end. The message of
/// an error is without the path. From what is no regular file every byte is waited for, at most `patience`
/// each time: nobody may hold its other end. Any thread.
Result<std::string> read_file(const std::string& path, std::uint64_t most_bytes, Millis patience);

}  // namespace weir
