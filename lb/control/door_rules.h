#pragma once

#include <string>
#include <string_view>

#include "lb/balance/session_info.h"
#include "lb/base/error.h"

namespace weir {

/// Whom listeners let in, from one process of this Weir to an older one, whose sessions are judged by it.
std::string format_door_rules(const DoorsByListener& doors);
/// Doors that have these rules and ask for nothing else.
Result<DoorsByListener> parse_door_rules(std::string_view text);

}  // namespace weir
