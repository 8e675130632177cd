#pragma once

#include <optional>
#include <string_view>

#include "lb/admit/network.h"

namespace weir::convert {

/// "10.0.0.1", "10.0.0.0/8", "10.0.0.0/255.0.0.0", "2001:db8::/32", "unix". Bits behind the mask are
/// cleared, as HAProxy and nginx do; in Weir's own file they are an error.
std::optional<Network> network_of(std::string_view text);

/// A name of a TLS server, or "*." and the end of one, or "*": what a route's sni takes.
bool is_server_name(std::string_view text);

}  // namespace weir::convert
