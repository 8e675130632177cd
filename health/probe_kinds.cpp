#include <algorithm>

#include "health/probe.h"

namespace weir {

std::unique_ptr<ProbeFactory> make_tcp_probes(ProbeLoop& loop);
std::unique_ptr<ProbeFactory> make_http_probes(ProbeLoop& loop);
std::unique_ptr<ProbeFactory> make_expect_probes(ProbeLoop& loop);
std::unique_ptr<ProbeFactory> make_exec_probes(ProbeLoop& loop);

namespace {

/// A limit that only a fleet which hangs as a whole can meet: a probe of one backend must not wait for
/// another's.
constexpr std::size_t kMaxSockets = 1024;
/// Processes are dearer: starting one takes the kernel about a millisecond of our thread.
constexpr std::size_t kMaxProcesses = 128;

constexpr ProbeKind kKinds[] = {
    {"tcp", make_tcp_probes, kMaxSockets, false},
    {"http", make_http_probes, kMaxSockets, false},
    {"expect", make_expect_probes, kMaxSockets, false},
    {"exec", make_exec_probes, kMaxProcesses, true},
    {"none", nullptr, 0, false},
};

}  // namespace

std::span<const ProbeKind> probe_kinds() {
  return kKinds;
}

const ProbeKind* find_probe_kind(std::string_view name) {
  const auto found = std::ranges::find(kKinds, name, &ProbeKind::name);
  return found == std::end(kKinds) ? nullptr : found;
}

}  // namespace weir
