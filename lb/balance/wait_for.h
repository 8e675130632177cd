#pragma once

#include <cstdint>
#include <string_view>

namespace weir {

/// What a session waits for that cannot go on yet.
enum class WaitFor : std::uint8_t {
  FirstVerdict,  ///< nobody is eligible, and of somebody nothing is known yet
  Descriptor,    ///< the kernel gave none
  SourcePort,    ///< every one towards the backend is in use
  UnixBacklog    ///< the backend's queue is full
};

constexpr std::string_view to_string(WaitFor why) {
  constexpr std::string_view kNames[] = {"a first verdict", "a descriptor", "a source port",
                                         "a unix backlog"};
  return kNames[static_cast<std::size_t>(why)];
}

}  // namespace weir
