#pragma once

#include <cstdint>

#include "lb/wire/bytes.h"

namespace weir {

/// CRC32C (Castagnoli), as RFC 4960, appendix B, has it and the PROXY protocol uses it; a byte at a time by
/// table. Bytes that come in parts: hand over what the parts before gave. Any thread.
std::uint32_t crc32c(Bytes bytes, std::uint32_t before = 0);

}  // namespace weir
