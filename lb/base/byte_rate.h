#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lb/base/error.h"

namespace weir {

/// 1 TB a second.
inline constexpr std::uint64_t kMaxByteRate = 1'000'000'000'000;
inline constexpr std::uint64_t kMinByteRate = 1'000;

/// Bytes a second, as the file has them: "500KB" (1000), "10MiB" (1024), "1.5MB"; "0" is no limit, 0.
Result<std::uint64_t> parse_byte_rate(std::string_view text);
/// In the largest unit in which it is a whole number: "10MiB".
std::string format_byte_rate(std::uint64_t bytes_per_second);

}  // namespace weir
