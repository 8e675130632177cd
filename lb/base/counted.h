#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

/// "1 session", "2 sessions": for nouns whose plural ends in a mere s.
inline std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

/// "1 session goes on", "2 sessions go on".
inline std::string sessions_go_on(std::uint64_t count) {
  return counted(count, "session") + (count == 1 ? " goes on" : " go on");
}

}  // namespace weir
