#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lb/balance/session_info.h"
#include "lb/control/admin_api.h"
#include "lb/control/commands.h"
#include "lb/control/reload.h"
#include "lb/control/status.h"

namespace weir {

/// The JSON of the admin API, as spec.md fixes it. Bytes that are no UTF-8 become U+FFFD.
std::string to_json(const Status& status, const ProcessFacts& facts, double uptime_seconds);
/// The sessions are counted now.
std::string to_json(const Change& change, const std::vector<std::string>& warnings);
std::string to_json(const Registry::Drains& drains);
std::string to_json(const std::vector<SessionInfo>& sessions, std::uint64_t found);
std::string to_json(const std::vector<ClientSessions>& clients, std::uint64_t found);
std::string to_json(const Explanation& explanation);
std::string to_json(const ReloadReport& report);
/// Of a rehearsal: whether a reload would be accepted, and what it would change.
std::string difference_json(const ReloadReport& report);
std::string to_json(const UpgradeReport& report);
/// `read_only`: whoever asks can look and change nothing.
std::string version_json(const ProcessFacts& facts, bool read_only);
std::string to_json(const StopReport& report);
std::string to_json(const Rebalancing::Round& round);
/// Ready when there is no reason against it.
std::string readiness_json(const std::vector<std::string>& reasons);
std::string killed_json(std::uint64_t killed);
std::string error_json(std::string_view code, std::string_view message,
                       const std::vector<std::string>& faults = {});

/// The query and the body of a request as names and values: numbers and booleans as text, lists joined by
/// commas. Nothing when the body is neither empty nor a JSON object of such.
std::optional<std::map<std::string, std::string, std::less<>>> parameters_of(const HttpRequest& request);

}  // namespace weir
