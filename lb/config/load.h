#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/base/own_sockets.h"
#include "lb/base/standard_places.h"
#include "lb/config/config.h"
#include "lb/config/written.h"

namespace weir {

/// What the other rooms offer and this one only checks names against (config may not include them).
struct KnownKinds {
  std::vector<std::string_view> balancers;
  std::vector<std::string_view> probes;
};

/// The value of an environment variable, or nothing when it is not set.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

struct LoadOptions {
  KnownKinds kinds;
  /// The hard limit on open files: a configuration that cannot be held by it is refused, with both numbers
  /// named. 0 = not judged.
  std::uint64_t descriptor_limit = 0;
  /// For `${NAME}`. A reload passes the environment the daemon started with.
  Environment environment;
  /// Against a backend that is this host itself; not set: loopback only. A reload asks anew.
  std::function<HostAddresses()> host_addresses;
  /// For whoever names no admin socket or state file.
  StandardPlaces places;
  /// How long a file that is a pipe may keep its reader waiting.
  Millis patience{10'000};
};

/// One fault of a file, at the value it concerns (at the table when a key is missing). One line: control
/// characters are escaped.
struct Fault {
  std::uint32_t line = 0;    ///< from 1; 0 = the whole file (unreadable, say)
  std::uint32_t column = 0;  ///< from 1, in characters
  std::string message;

  /// "file:line:column: message"; "file: message" for the whole file
  std::string to_string(std::string_view file) const;
};

/// Either a configuration, or every fault of the file in the file's order.
struct LoadResult {
  static constexpr std::size_t kMostFaults = 1'000;

  std::shared_ptr<const Config> config;  ///< null when there are faults
  /// The first kMostFaults at most; then one more says how many there are besides. The same of the warnings.
  std::vector<Fault> faults;
  /// What is valid and probably not meant (a pool that no listener names, a key without effect), in the
  /// file's order. Never a reason to refuse.
  std::vector<Fault> warnings;
  std::size_t faults_left_out = 0;
  /// For what others than whoever runs this process may see of all that.
  Written written = {};

  std::size_t fault_count() const {
    return faults_left_out == 0 ? faults.size() : faults.size() - 1 + faults_left_out;
  }
};

/// Some 100 bytes a backend: room for half a million of them.
inline constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{64} << 20;

/// Reads and validates one file. Touches no socket, resolves no name, writes nothing. Any thread.
LoadResult load_config(const std::string& path, const LoadOptions& options);

/// The same from text; `path` names the source in faults and is kept in Config::file.
LoadResult parse_config(std::string_view text, const std::string& path, const LoadOptions& options);

inline constexpr std::uint64_t kNoDescriptorLimit = std::numeric_limits<std::uint64_t>::max();

/// Admin connections at once: a sixteenth of the descriptor limit, 4 to 64, so that a small limit still
/// leaves most of it to sessions. The admin API keeps to it; it is what reserved_descriptors counts.
std::uint64_t admin_connection_limit(std::uint64_t descriptor_limit);

/// Only a fleet of thousands that hangs as a whole has that many probes under way: one backend's must not
/// wait for another's.
inline constexpr std::uint64_t kMostProbeSockets = 1024;

/// The most sockets of probes at once: an eighth of the descriptor limit, 4 to kMostProbeSockets.
std::uint64_t probe_socket_limit(std::uint64_t descriptor_limit);
/// What the checker keeps to under this configuration, and reserved_descriptors counts: one for each probed
/// backend and a 64th of the limit, at most 16, for those that are added at run time; no more than
/// probe_socket_limit, and none when no pool is probed.
std::uint64_t reserved_probe_sockets(const Config& config, std::uint64_t descriptor_limit);

/// Descriptors that Weir keeps for itself beside two for each session: listeners, logs, admin, probes, loops.
/// Pipes are not among them: a session does without when there are none. `workers` is the resolved count.
std::uint64_t reserved_descriptors(const Config& config, std::uint32_t workers,
                                   std::uint64_t descriptor_limit = kNoDescriptorLimit);

/// The sessions at once that `descriptor_limit` open files can hold: (limit - reserved) / 2, at least 0.
std::uint64_t sessions_that_fit(const Config& config, std::uint32_t workers, std::uint64_t descriptor_limit);

/// `config.workers`, or the CPUs this process may use: usable_cpus(), kMaxWorkers at most.
std::uint32_t resolved_workers(const Config& config);

}  // namespace weir
