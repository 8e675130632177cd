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
  std::optional<Millis> patience;  ///< for each of the daemon's answers; nothing = kAnswerPatience
  bool quiet = false;              ///< why an exchange has failed is not said
};

/// More than the daemon takes for any answer but an upgrade's.
inline constexpr Millis kAnswerPatience{15'000};
/// More than a daemon waits for the process that is to follow it.
inline constexpr Millis kUpgradePatience{75'000};

/// What an operator says along with a word.
struct RemarkOptions {
  std::string comment;          ///< "" = none
  std::optional<Millis> lasts;  ///< then the word ends by itself
};

struct DrainOptions {
  std::string target;
  RemarkOptions remark;
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
  bool denied = false;  ///< those that the listener's rules would not let in now
};

struct ListOptions {
  std::string sort;         ///< "" = by id; else bytes, age, idle: the most first
  std::uint32_t limit = 0;  ///< 0 = as many as the daemon lists
  bool by_client = false;
};

/// Each does one command and returns its exit status. Answers go to stdout, everything else to stderr.
/// Of one backend that is named in full it shows all that is known.
int run_status(const CommonOptions& common, const std::vector<std::string>& targets, bool watch);
/// The same of a pool, or of all (""), in place and with keys to change it; where there is no terminal for
/// that, once.
int run_top(const CommonOptions& common, const std::string& pool);
/// Whether these listeners, or all that count, can be served: exit 1 and a line for each that cannot.
int run_ready(const CommonOptions& common, const std::vector<std::string>& listeners);
int run_drain(const CommonOptions& common, const DrainOptions& options);
int run_disable(const CommonOptions& common, const std::string& target, const RemarkOptions& remark,
                bool force);
int run_enable(const CommonOptions& common, const std::string& target);
int run_weight(const CommonOptions& common, const std::string& target, const std::string& weight,
               const RemarkOptions& remark);
int run_add(const CommonOptions& common, const std::string& pool, const std::string& name,
            const std::string& address, std::uint32_t weight, bool backup, std::uint64_t max_sessions);
int run_remove(const CommonOptions& common, const std::string& target, bool force);
int run_sessions(const CommonOptions& common, const FilterOptions& filter, const ListOptions& list);
/// `per_second`: at most so many, of those that there are now; 0 = all at once.
int run_kill(const CommonOptions& common, const FilterOptions& filter, std::uint32_t per_second);
/// Ends sessions of backends with more than `to_percent` of their share, until there are none or those that
/// are left would get the same backend again.
int run_rebalance(const CommonOptions& common, const std::string& pool, std::chrono::nanoseconds between,
                  std::uint32_t to_percent);
/// `target`: "" = all; POOL or POOL/BACKEND.
int run_events(const CommonOptions& common, const std::string& target, std::optional<Millis> since,
               std::uint32_t limit);
/// The same as they come, one a line, until nobody reads or the daemon has ended for good. `since`: those
/// before, too.
int run_follow(const CommonOptions& common, const std::string& target, std::optional<Millis> since);
/// A client that might come, to a pool or to a listener.
struct ExplainOptions {
  std::string listener;  ///< "" = the pool's balancer alone is asked
  std::string peer;      ///< who announces the client
  std::string sni;
  std::string alpn;  ///< with commas between them
};
int run_explain(const CommonOptions& common, const std::string& pool, const std::string& client,
                const ExplainOptions& options);
int run_reload(const CommonOptions& common);
/// What a reload of `file` would change in the running Weir.
int run_diff(const CommonOptions& common, const std::string& file);
/// `binary`: "" = the daemon's own.
int run_upgrade(const CommonOptions& common, const std::string& binary, std::optional<Millis> max_age,
                bool force);
/// Returns when the daemon has ended.
int run_stop(const CommonOptions& common, std::optional<Millis> grace);
/// Of this binary; asks nobody.
int run_version(const CommonOptions& common, const std::string& version);

/// The exit status of an error that the daemon answered with, by its code: "usage", "unknown", …
int exit_status_of(const std::string& code);

}  // namespace weir
