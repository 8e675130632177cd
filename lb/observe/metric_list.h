#pragma once

#include <span>

#include "lb/observe/exposition.h"

namespace weir {

/// Every metric that there is. The manual's table and what is scraped come from here alone.
namespace metrics {

inline constexpr MetricFamily kBuildInfo{"weir_build_info", MetricKind::Info, "version",
                                         "Which Weir this is: always 1"},
    kConfigGeneration{"weir_config_generation", MetricKind::Gauge, "",
                      "How often what is served has changed"},
    kLastReloadSuccess{"weir_config_last_reload_success_timestamp_seconds", MetricKind::Gauge, "",
                       "When the configuration in force was read, since 1970"},
    kLastReloadGood{"weir_config_last_reload_successful", MetricKind::Gauge, "",
                    "Whether the last reload was done: 0 or 1"},
    kOldestOverride{
        "weir_oldest_override_timestamp_seconds", MetricKind::Gauge, "",
        "When the oldest word of an operator that is in force was said, since 1970; none: absent"},
    kSessions{"weir_sessions_active", MetricKind::Gauge, "", "Sessions now, in the whole process"},
    kSessionsLimit{"weir_sessions_limit", MetricKind::Gauge, "",
                   "How many there may be (max_connections, or what the descriptors hold)"},
    kListenerSessions{"weir_listener_sessions", MetricKind::Gauge, "listener", "Sessions now"},
    kListenerLimit{"weir_listener_sessions_limit", MetricKind::Gauge, "listener",
                   "How many there may be; absent where only the global limit counts"},
    kListenerAccepted{"weir_listener_accepted_total", MetricKind::Counter, "listener",
                      "Connections accepted"},
    kRefused{"weir_refused_total", MetricKind::Counter, "listener, reason",
             "Clients that were not let in, by the word of the access log"},
    kSessionsEnded{
        "weir_sessions_total", MetricKind::Counter, "listener, pool, backend, end",
        "Sessions that have ended, by how; backend \"-\": none had it, or one that has left long ago"},
    kRetries{"weir_retries_total", MetricKind::Counter, "pool",
             "Backends tried beyond the first, of ended sessions"},
    kQueueSessions{"weir_queue_sessions", MetricKind::Gauge, "pool",
                   "Sessions that wait until a backend has room"},
    kQueueWait{"weir_queue_wait_seconds", MetricKind::Histogram, "pool",
               "How long those waited that have waited"},
    kPoolVerdict{"weir_pool_verdict", MetricKind::Gauge, "pool, verdict",
                 "1 for how the pool stands: ok, degraded, backup_in_use, down, unknown; 0 for the others"},
    kHedges{"weir_hedged_connects_total", MetricKind::Counter, "pool",
            "Connects that got a second one beside them; of pools with hedge_after"},
    kBackendSessions{"weir_backend_sessions", MetricKind::Gauge, "pool, backend",
                     "Sessions now, connecting ones too"},
    kBytesToBackend{"weir_backend_bytes_to_backend_total", MetricKind::Counter, "pool, backend",
                    "Bytes moved from clients to it"},
    kBytesToClient{"weir_backend_bytes_to_client_total", MetricKind::Counter, "pool, backend",
                   "Bytes moved from it to clients"},
    kConnectFailures{"weir_backend_connect_failures_total", MetricKind::Counter, "pool, backend",
                     "Connects that failed, and sessions that it ended at once"},
    kBackendState{"weir_backend_state", MetricKind::Gauge, "pool, backend, state",
                  "1 for what is so: one of up, down, unknown, and drained or disabled; else 0"},
    kProbes{"weir_probes_total", MetricKind::Counter, "pool, backend, result",
            "Probes that have ended: passed, failed"},
    kProbeSeconds{"weir_probe_seconds", MetricKind::Histogram, "pool, backend", "How long probes took"},
    kConnectSeconds{"weir_backend_connect_seconds", MetricKind::Histogram, "pool, backend",
                    "How long connects took that worked"},
    kFirstByteSeconds{"weir_backend_first_byte_seconds", MetricKind::Histogram, "pool, backend",
                      "From its accept to its first byte"},
    kSessionSeconds{"weir_session_duration_seconds", MetricKind::Histogram, "pool, backend",
                    "How long ended sessions lasted"},
    kSessionBytes{"weir_session_bytes", MetricKind::Histogram, "pool, backend",
                  "How many bytes ended sessions moved, both ways"},
    kOwnTrouble{"weir_own_trouble_total", MetricKind::Counter, "kind",
                "System calls that failed by this host's fault: accept, bind, connect, relay"},
    kCpuSeconds{"process_cpu_seconds_total", MetricKind::Counter, "",
                "CPU time of this process, user and system"},
    kOpenFds{"process_open_fds", MetricKind::Gauge, "", "Descriptors open"},
    kMaxFds{"process_max_fds", MetricKind::Gauge, "", "How many may be"},
    kVirtualBytes{"process_virtual_memory_bytes", MetricKind::Gauge, "", "Virtual memory"},
    kResidentBytes{"process_resident_memory_bytes", MetricKind::Gauge, "", "Resident memory"},
    kStartTime{"process_start_time_seconds", MetricKind::Gauge, "",
               "When this process was started, since 1970"};

/// In the order in which they are scraped.
std::span<const MetricFamily* const> all();

}  // namespace metrics

}  // namespace weir
