#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lb/base/duration.h"

namespace weir {

/// What every command that talks to a running Weir takes.
struct CommonOptions {
  std::string socket;  ///< "" = WEIR_SOCKET, else the default
  bool json = false;
};

struct DrainOptions {
  std::string target;
  bool force = false;
  bool wait = false;  ///< implied by a timeout
  std::optional<Millis> timeout;
  bool close = false;  ///< --then close
  std::optional<Millis> spread;
};

struct FilterOptions {
  std::vector<std::string> ids;
  std::string pool;
  std::string backend;
  std::string client;
};

/// Each does one command and returns its exit status. Answers go to stdout, everything else to stderr.
int run_status(const CommonOptions& common, const std::string& target, bool watch);
int run_drain(const CommonOptions& common, const DrainOptions& options);
int run_disable(const CommonOptions& common, const std::string& target, bool force);
int run_enable(const CommonOptions& common, const std::string& target);
int run_weight(const CommonOptions& common, const std::string& target, const std::string& weight);
int run_add(const CommonOptions& common, const std::string& pool, const std::string& name,
            const std::string& address, std::uint32_t weight, bool backup);
int run_remove(const CommonOptions& common, const std::string& target, bool force);
int run_sessions(const CommonOptions& common, const FilterOptions& filter);
/// `per_second`: at most so many, of those that there are now; 0 = all at once.
int run_kill(const CommonOptions& common, const FilterOptions& filter, std::uint32_t per_second);
int run_explain(const CommonOptions& common, const std::string& pool, const std::string& client);
int run_reload(const CommonOptions& common);
/// What a reload of `file` would change in the running Weir.
int run_diff(const CommonOptions& common, const std::string& file);
/// `binary`: "" = the daemon's own.
int run_upgrade(const CommonOptions& common, const std::string& binary, std::optional<Millis> max_age);
/// Of this binary; asks nobody.
int run_version(const CommonOptions& common, const std::string& version);

/// The exit status of an error that the daemon answered with, by its code: "usage", "unknown", …
int exit_status_of(const std::string& code);

}  // namespace weir
