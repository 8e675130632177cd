#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lb/config/config.h"

namespace weir {

/// What the other rooms offer and this one only checks names against (config may not include them).
struct KnownKinds {
  std::vector<std::string_view> balancers;
  std::vector<std::string_view> probes;
};

struct LoadOptions {
  KnownKinds kinds;
  /// The hard limit on open files: a configuration that cannot be held by it is refused, with both numbers
  /// named.
  std::uint64_t descriptor_limit = 0;
  /// `${NAME}`: the value, or nothing when it is not set. A reload passes the environment the daemon started
  /// with.
  std::function<std::optional<std::string>(std::string_view name)> environment;
};

/// One fault of a file, at the value it concerns (at the table when a key is missing).
struct Fault {
  std::uint32_t line = 0;    ///< from 1; 0 = the whole file (unreadable, say)
  std::uint32_t column = 0;  ///< from 1
  std::string message;

  /// "file:line:column: message"
  std::string to_string(std::string_view file) const;
};

/// Either a configuration, or every fault of the file in the file's order.
struct LoadResult {
  std::shared_ptr<const Config> config;  ///< null when there are faults
  std::vector<Fault> faults;
};

/// Reads and validates one file. Touches no socket, resolves no name, writes nothing. Any thread.
LoadResult load_config(const std::string& path, const LoadOptions& options);

/// The same from text; `path` names the source in faults and is kept in Config::file.
LoadResult parse_config(std::string_view text, const std::string& path, const LoadOptions& options);

/// Descriptors that Weir keeps for itself beside two for each session: listeners, logs, admin, probes, loops,
/// the pipe pool. `workers` is the resolved count.
std::uint64_t reserved_descriptors(const Config& config, std::uint32_t workers);

/// The sessions at once that `descriptor_limit` open files can hold: (limit - reserved) / 2, at least 0.
std::uint64_t sessions_that_fit(const Config& config, std::uint32_t workers, std::uint64_t descriptor_limit);

/// `config.workers`, or the number of CPUs this process may use (sched_getaffinity).
std::uint32_t resolved_workers(const Config& config);

}  // namespace weir
