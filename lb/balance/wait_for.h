#pragma once

#include <cstdint>
#include <string_view>

namespace weir {

/// What a session waits for that cannot go on yet.
enum class WaitFor : std::uint8_t {
  /// Nobody else is left, and of somebody nothing is known yet, or another session tries whether it is well
  /// again.
  FirstVerdict,
  Descriptor,   ///< the kernel gave none
  SourcePort,   ///< every one towards the backend is in use
  UnixBacklog,  ///< the backend's queue is full
  BackendSlot   ///< all of the pool's backends have as many sessions as they may have
};

constexpr std::string_view to_string(WaitFor why) {
  constexpr std::string_view kNames[] = {"a first verdict", "a descriptor", "a source port", "a unix backlog",
                                         "a backend with room"};
  return kNames[static_cast<std::size_t>(why)];
}

}  // namespace weir
