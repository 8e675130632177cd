#pragma once

#include <string_view>

#include "lb/balance/agent_state.h"
#include "lb/base/error.h"

namespace weir {

/// Takes one line of an agent into `state`, in the words of HAProxy's agent-check, apart by blanks or commas,
/// in any case: "75%", "maxconn:30", "ready", "drain", "maint", "up", and "down", "failed" or "stopped",
/// behind which everything after a # says why. What a line does not speak of stays as it was; words of others
/// are passed over. A percentage beyond 100 counts as 100. An error when there is none that is understood:
/// then nothing has changed.
Result<void> take_agent_words(std::string_view line, AgentState& state);

}  // namespace weir
