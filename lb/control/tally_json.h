#pragma once

#include <nlohmann/json_fwd.hpp>

#include "lb/control/counts.h"

namespace weir {

// What was counted for metrics, from one process of this Weir to another, which may be of another version:
// what is not understood is left out.

nlohmann::ordered_json json_of(const Tally& tally);
nlohmann::ordered_json json_of(const ListenerTally& tally);
Tally tally_from(const nlohmann::ordered_json& json);
ListenerTally listener_tally_from(const nlohmann::ordered_json& json);

}  // namespace weir
