#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lb/balance/listener_load.h"
#include "lb/balance/table.h"
#include "lb/config/config.h"

namespace weir {

/// What one configuration changed, a line each, as an operator reads it: "+ web/web4", "~ web/web1 weight
/// 1→5", "- listener old".
struct ApplyReport {
  std::vector<std::string> changes;
  std::vector<std::string> notes;  ///< overrides that the file won against, run-time members that are gone
};

/// The only writer of the Table. Knows three things apart for each backend: what the file says, what the
/// operator said, what the checker says; every change makes a new Table, one generation on, and publishes it.
/// Control thread only.
class Registry {
 public:
  /// Called with every new Table, from within the call that made it.
  using Publish = std::function<void(std::shared_ptr<const Table>)>;

  Registry(std::uint32_t workers, Publish publish);
  ~Registry();

  /// Takes a configuration, by difference: what did not change keeps its identity, its counters, its health
  /// and its overrides. One Table is published, also when nothing changed.
  ApplyReport apply(std::shared_ptr<const Config> config);

  /// From the checker. Unknown ids (just removed) are ignored. `on_trial`: up, but for one session alone.
  void set_health(BackendId id, Health health, std::string reason, bool on_trial = false);

  /// From the resolver. Empty = does not resolve, for `reason`; the backend then is unknown.
  void set_addresses(BackendId id, std::vector<Address> addresses, std::string reason);

  const std::shared_ptr<const Table>& table() const;

  /// The listener's counters, made at its first use; lives as long as the Registry.
  ListenerLoad& listener_load(std::string_view listener, std::string_view pool);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir
