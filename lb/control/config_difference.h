#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lb/config/config.h"

namespace weir {

// What differs between two configurations, as an operator reads it: "connect_timeout 2s→500ms". Pure; knows
// nothing of what is in force.

/// The pool's own keys and those of its health, and whether backends that both have changed places; not the
/// backends. " balance round_robin→source_hash health.fall 3→5": a blank before each, "" when nothing
/// differs.
std::string difference_of(const PoolConfig& now, const PoolConfig& next);
/// Without name and address; of the probe what its pool's difference does not say.
std::string difference_of(const BackendConfig& now, const PoolConfig& pool_now, const BackendConfig& next,
                          const PoolConfig& pool_next);
/// The keys by which a backend's probe is another one than its pool's, as "health.port" and "9000".
std::vector<std::pair<std::string, std::string>> own_probe_keys(const PoolConfig& pool,
                                                                const BackendConfig& backend);
std::string difference_of(const ListenerConfig& now, const ListenerConfig& next);
/// Keys outside of listeners and pools that a reload changes: "max_connections 100→200" each.
std::vector<std::string> global_differences(const Config& now, const Config& next);

}  // namespace weir
