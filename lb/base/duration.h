#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "lb/base/error.h"

namespace weir {

using Millis = std::chrono::milliseconds;

/// The longest duration a configuration may give: 10,000 hours, which every timer here holds in 64 bits.
inline constexpr Millis kMaxDuration = std::chrono::hours(10'000);

/// Reads `"1.5s"`: a decimal number and one of ms, s, m, h. Rounded to the nearest millisecond. Refuses
/// signs, bare numbers, anything over kMaxDuration; a duration that is not zero never rounds to zero.
Result<Millis> parse_duration(std::string_view text);

/// The shortest exact form that parse_duration reads back: "1500ms", "2s", "10m".
std::string format_duration(Millis duration);

}  // namespace weir
