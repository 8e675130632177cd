#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lb/observe/events.h"

namespace weir {

/// {"events": [{"time", "kind", "pool", "backend", "text", "by", "changes", and "count" where it is not 1}]}
std::string to_json(const std::vector<Event>& events);
/// One of them, without a line's end.
std::string to_json(const Event& event);

/// The same back; what makes no sense is left out.
std::vector<Event> parse_events(std::string_view text);

}  // namespace weir
