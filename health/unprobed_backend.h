#pragma once

#include <memory>

#include "health/ejection.h"
#include "health/probe_loop.h"
#include "health/reporter.h"

namespace weir {

/// A backend with `probe = "none"`: up from the start, judged by its sessions' connects alone. Puts an
/// Ejection on the checker's clock.
class UnprobedBackend {
 public:
  /// `known`: Down when it is out of rotation already.
  UnprobedBackend(ProbeLoop& loop, Reporter& reporter, std::shared_ptr<BackendLoad> load,
                  const Ejection::Limits& limits, Health known);

  void connects_changed();
  /// Up, and neither out nor on trial.
  bool in_rotation() const { return ejection_.in_rotation(); }

 private:
  void on_alarm();
  void apply(const Ejection::Change& change);

  ProbeLoop& loop_;
  Reporter& reporter_;
  std::shared_ptr<BackendLoad> load_;
  Ejection ejection_;
  Alarm alarm_;
  bool trial_was_taken_ = false;
};

}  // namespace weir
