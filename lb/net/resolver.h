#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lb/base/address.h"
#include "lb/net/loop.h"

namespace weir {

/// Resolves a host name to all its stream addresses, in getaddrinfo's order (RFC 6724), on libuv's thread
/// pool, and calls back on the loop's thread. The loop must run until the callback has come.
void resolve(Loop& loop, const std::string& host, std::uint16_t port,
             std::function<void(Result<std::vector<Address>>)> done);

}  // namespace weir
