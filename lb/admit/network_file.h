#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lb/admit/network.h"

namespace weir {

/// What a file of networks holds: one a line; "#" begins a comment, also behind one; blank lines are none.
struct NetworkFile {
  struct Fault {
    std::size_t line = 0;  ///< from 1
    std::string message;
  };
  std::vector<Network> networks;
  std::vector<Fault> faults;  ///< in the file's order; any: nothing of the file is to be used
};

/// At most so many are told, one a line; a last one says how many more there are.
inline constexpr std::size_t kMaxNetworkFaults = 20;

/// Pure: reads the text of a file. Any thread.
NetworkFile parse_network_file(std::string_view text);

}  // namespace weir
