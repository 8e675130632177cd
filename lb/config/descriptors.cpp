#include <algorithm>

#include "lb/config/cpus.h"
#include "lb/config/load.h"

namespace weir {
namespace {

/// stdin, stdout, stderr; the access log; the state file and its directory while written; a signalfd for each
/// of four signals; libuv's pipe for SIGCHLD (2, one pair for the process); the notify socket; two for
/// whatever a library opens for a moment.
constexpr std::uint64_t kProcess = 15;

/// Each loop: Weir's epoll set, libuv's epoll, its eventfd and its pipe for signals (counted in libuv 1.44:
/// 4).
constexpr std::uint64_t kEachLoop = 5;

/// Loops that are not workers: control and checker.
constexpr std::uint64_t kOtherLoops = 2;

/// The admin API beside its connections: the listening socket, libmicrohttpd's epoll set and eventfd, and two
/// that its Acceptor keeps for when there are no others left.
constexpr std::uint64_t kAdmin = 5;

/// A UDP and a TCP socket to each of the 3 name servers that a resolv.conf usually has at most, while
/// questions are open; /etc/hosts while it is read, or the socket by which c-ares orders addresses;
/// resolv.conf.
constexpr std::uint64_t kResolver = 8;

/// Starting a command: libuv's pipe for the exec error and /dev/null, one start at a time.
constexpr std::uint64_t kSpawn = 3;

/// libcurl's: by which another thread would wake it.
constexpr std::uint64_t kHttpProbes = 2;

/// An upgrade, beside a copy of each listening socket: the channel's two ends, copies of the admin sockets
/// and of standard error, a pipe for what the new process writes there, what is handed on, and its start.
constexpr std::uint64_t kUpgrade = 8 + kSpawn;
/// Under a smaller limit an upgrade has what happens to be free: sessions need it more.
constexpr std::uint64_t kUpgradeIsKeptFor = 256;

/// Of one backend: its probe, and what asks its agent.
std::uint64_t askers_of(const ProbeConfig& probe) {
  return (probe.kind != "none" ? 1 : 0) + (probe.agent_port != 0 ? 1 : 0);
}

/// One that is added at run time is probed as its pool is.
bool may_be_probed(const PoolConfig& pool) {
  return askers_of(pool.probe) > 0 || std::ranges::any_of(pool.backends, [](const BackendConfig& backend) {
           return backend.probe && askers_of(*backend.probe) > 0;
         });
}

std::uint64_t probed_backends(const Config& config) {
  std::uint64_t count = 0;
  for (const PoolConfig& pool : config.pools)
    for (const BackendConfig& backend : pool.backends) count += askers_of(pool.probe_of(backend));
  return count;
}

template <class Matches>
bool any_probe(const Config& config, Matches matches) {
  return std::ranges::any_of(config.pools, [&](const PoolConfig& pool) {
    return matches(pool.probe) || std::ranges::any_of(pool.backends, [&](const BackendConfig& backend) {
             return backend.probe && matches(*backend.probe);
           });
  });
}

bool resolves_names(const Config& config) {
  return std::any_of(config.pools.begin(), config.pools.end(), [](const PoolConfig& pool) {
    return std::any_of(pool.backends.begin(), pool.backends.end(),
                       [](const BackendConfig& backend) { return !backend.endpoint.host.empty(); });
  });
}

bool probes_by_http(const Config& config) {
  return any_probe(config, [](const ProbeConfig& probe) { return probe.kind == "http"; });
}

bool runs_commands(const Config& config) {
  return any_probe(config, [](const ProbeConfig& probe) { return !probe.command.empty(); });
}

}  // namespace

std::uint64_t admin_connection_limit(std::uint64_t descriptor_limit) {
  return std::clamp<std::uint64_t>(descriptor_limit / 16, 4, 64);
}

std::uint64_t probe_socket_limit(std::uint64_t descriptor_limit) {
  return std::clamp<std::uint64_t>(descriptor_limit / 8, 4, kMostProbeSockets);
}

std::uint64_t reserved_probe_sockets(const Config& config, std::uint64_t descriptor_limit) {
  if (std::ranges::none_of(config.pools, may_be_probed)) return 0;
  const std::uint64_t added = std::min<std::uint64_t>(descriptor_limit / 64, 16);
  return std::min(probed_backends(config) + added, probe_socket_limit(descriptor_limit));
}

std::uint64_t reserved_descriptors(const Config& config, std::uint32_t workers,
                                   std::uint64_t descriptor_limit) {
  std::uint64_t bound = 0;
  for (const ListenerConfig& listener : config.listeners) bound += listener.bind.size();
  std::uint64_t total = kProcess + kEachLoop * (workers + kOtherLoops) + bound * workers;
  if (descriptor_limit >= kUpgradeIsKeptFor) total += bound * workers + kUpgrade;
  for (const std::string* socket : {&config.admin.socket, &config.admin.read_only_socket})
    if (!socket->empty()) total += kAdmin + admin_connection_limit(descriptor_limit);
  const std::uint64_t web = config.web.bind.size();
  total += web * (kAdmin + admin_connection_limit(descriptor_limit));
  if (descriptor_limit >= kUpgradeIsKeptFor) total += web;
  if (resolves_names(config)) total += kResolver;
  if (runs_commands(config)) total += kSpawn;
  if (probes_by_http(config)) total += kHttpProbes;
  return total + reserved_probe_sockets(config, descriptor_limit);
}

std::uint64_t sessions_that_fit(const Config& config, std::uint32_t workers, std::uint64_t descriptor_limit) {
  const std::uint64_t reserved = reserved_descriptors(config, workers, descriptor_limit);
  return descriptor_limit > reserved ? (descriptor_limit - reserved) / 2 : 0;
}

std::uint32_t resolved_workers(const Config& config) {
  if (config.workers != 0) return config.workers;
  return std::min(usable_cpus(), kMaxWorkers);
}

}  // namespace weir
