#include "lb/observe/metric_list.h"

namespace weir::metrics {

std::span<const MetricFamily* const> all() {
  static constexpr const MetricFamily* kAll[] = {&kBuildInfo,        &kConfigGeneration, &kLastReloadSuccess,
                                                 &kLastReloadGood,   &kOldestOverride,   &kSessions,
                                                 &kSessionsLimit,    &kListenerSessions, &kListenerLimit,
                                                 &kListenerAccepted, &kRefused,          &kSessionsEnded,
                                                 &kRetries,          &kQueueSessions,    &kQueueWait,
                                                 &kPoolVerdict,      &kHedges,           &kBackendSessions,
                                                 &kBytesToBackend,   &kBytesToClient,    &kConnectFailures,
                                                 &kBackendState,     &kProbes,           &kProbeSeconds,
                                                 &kConnectSeconds,   &kFirstByteSeconds, &kSessionSeconds,
                                                 &kSessionBytes,     &kOwnTrouble,       &kCpuSeconds,
                                                 &kOpenFds,          &kMaxFds,           &kVirtualBytes,
                                                 &kResidentBytes,    &kStartTime};
  return kAll;
}

}  // namespace weir::metrics
