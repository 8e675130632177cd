#include "health/unprobed_backend.h"

namespace weir {
namespace {

/// A trial whose session neither connected nor failed (its client left first, say) is given to another one
/// after one to two of these.
constexpr Millis kTrialCheck{5'000};

}  // namespace

UnprobedBackend::UnprobedBackend(ProbeLoop& loop, Reporter& reporter, std::shared_ptr<BackendLoad> load,
                                 const Ejection::Limits& limits, Health known)
    : loop_(loop), reporter_(reporter), load_(std::move(load)), ejection_(limits), alarm_(loop, [this] {
        on_alarm();
      }) {
  load_->failures_in_a_row.store(0);
  if (known == Health::Down && limits.after != 0)
    apply(ejection_.begin_out(loop_.now()));
  else
    reporter_.transition(load_->id, Health::Up, "not probed");
}

void UnprobedBackend::connects_changed() {
  if (const auto change = ejection_.connects(load_->failures_in_a_row.load(), loop_.now())) apply(*change);
}

void UnprobedBackend::on_alarm() {
  if (const auto change = ejection_.expire(load_->failures_in_a_row.load(), loop_.now())) {
    apply(*change);
  } else if (ejection_.on_trial()) {
    if (trial_was_taken_) load_->trial_taken.store(false);
    trial_was_taken_ = load_->trial_taken.load();
    alarm_.set(loop_.now() + kTrialCheck);
  }
}

void UnprobedBackend::apply(const Ejection::Change& change) {
  alarm_.cancel();
  if (const auto due = ejection_.due()) alarm_.set(*due);
  if (change.on_trial) {
    trial_was_taken_ = false;
    load_->trial_taken.store(false);
    alarm_.set(loop_.now() + kTrialCheck);
  }
  reporter_.transition(load_->id, change.health, change.reason, change.on_trial);
}

}  // namespace weir
