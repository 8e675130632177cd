#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <thread>

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

/// The admin API beside its connections: the listening socket, libmicrohttpd's epoll set and eventfd.
constexpr std::uint64_t kAdmin = 3;

/// libuv resolves names on 4 threads; each has /etc/hosts or a socket to the resolver open, and may have
/// both.
constexpr std::uint64_t kResolver = 8;

/// Starting a command: libuv's pipe for the exec error and /dev/null, one start at a time.
constexpr std::uint64_t kSpawn = 3;

bool is_probed(const PoolConfig& pool) {
  return pool.probe.kind != "none";
}

std::uint64_t probed_backends(const Config& config) {
  std::uint64_t count = 0;
  for (const PoolConfig& pool : config.pools)
    if (is_probed(pool)) count += pool.backends.size();
  return count;
}

bool resolves_names(const Config& config) {
  return std::any_of(config.pools.begin(), config.pools.end(), [](const PoolConfig& pool) {
    return std::any_of(pool.backends.begin(), pool.backends.end(),
                       [](const BackendConfig& backend) { return !backend.endpoint.host.empty(); });
  });
}

bool runs_commands(const Config& config) {
  return std::any_of(config.pools.begin(), config.pools.end(),
                     [](const PoolConfig& pool) { return !pool.probe.command.empty(); });
}

}  // namespace

std::uint64_t admin_connection_limit(std::uint64_t descriptor_limit) {
  return std::clamp<std::uint64_t>(descriptor_limit / 16, 4, 64);
}

std::uint64_t probe_socket_limit(std::uint64_t descriptor_limit) {
  return std::clamp<std::uint64_t>(descriptor_limit / 8, 4, kMostProbeSockets);
}

std::uint64_t reserved_probe_sockets(const Config& config, std::uint64_t descriptor_limit) {
  if (std::ranges::none_of(config.pools, is_probed)) return 0;
  const std::uint64_t added = std::min<std::uint64_t>(descriptor_limit / 64, 16);
  return std::min(probed_backends(config) + added, probe_socket_limit(descriptor_limit));
}

std::uint64_t reserved_descriptors(const Config& config, std::uint32_t workers,
                                   std::uint64_t descriptor_limit) {
  std::uint64_t bound = 0;
  for (const ListenerConfig& listener : config.listeners) bound += listener.bind.size();
  std::uint64_t total = kProcess + kEachLoop * (workers + kOtherLoops) + bound * workers;
  if (!config.admin.socket.empty()) total += kAdmin + admin_connection_limit(descriptor_limit);
  if (resolves_names(config)) total += kResolver;
  if (runs_commands(config)) total += kSpawn;
  return total + reserved_probe_sockets(config, descriptor_limit);
}

std::uint64_t sessions_that_fit(const Config& config, std::uint32_t workers, std::uint64_t descriptor_limit) {
  const std::uint64_t reserved = reserved_descriptors(config, workers, descriptor_limit);
  return descriptor_limit > reserved ? (descriptor_limit - reserved) / 2 : 0;
}

std::uint32_t resolved_workers(const Config& config) {
  if (config.workers != 0) return config.workers;
  // The kernel refuses a set smaller than its own; 2^16 CPUs is beyond every kernel's.
  for (int cpus = 1024; cpus <= 65536; cpus *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(static_cast<std::size_t>(cpus)),
                                                               [](cpu_set_t* s) { CPU_FREE(s); });
    const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus));
    if (!set) break;
    if (sched_getaffinity(0, size, set.get()) == 0)
      return std::clamp<std::uint32_t>(static_cast<std::uint32_t>(CPU_COUNT_S(size, set.get())), 1,
                                       kMaxWorkers);
    if (errno != EINVAL) break;
  }
  return std::clamp<std::uint32_t>(std::thread::hardware_concurrency(), 1, kMaxWorkers);
}

}  // namespace weir
