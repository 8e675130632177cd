#include "health/ejection.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir {

Ejection::Change Ejection::take_out(std::uint32_t failures_in_a_row, std::chrono::nanoseconds now) {
  penalty_ = penalty_ == Millis::zero() ? kFirstPenalty : std::min(penalty_ * 2, kLongestPenalty);
  until_ = now + penalty_;
  state_ = State::Out;
  return {Health::Down, false,
          fmt::format("connect failed {} times in a row: out of rotation for {}", failures_in_a_row,
                      format_duration(penalty_))};
}

Ejection::Change Ejection::bring_back() {
  state_ = State::InRotation;
  penalty_ = Millis::zero();
  return {Health::Up, false, "connect worked: back in rotation"};
}

std::optional<Ejection::Change> Ejection::connects(std::uint32_t failures_in_a_row,
                                                   std::chrono::nanoseconds now) {
  switch (state_) {
    case State::InRotation:
      if (failures_in_a_row >= kFailures) return take_out(failures_in_a_row, now);
      break;
    case State::Out:
      break;  // sessions that were picked before: the penalty stands, whatever becomes of them
    case State::OnTrial:
      // The count only ever falls by going to zero: less than before means that a connect has worked since.
      if (failures_in_a_row < failures_before_trial_) {
        Change change = bring_back();
        if (failures_in_a_row >= kFailures) return take_out(failures_in_a_row, now);
        return change;
      }
      if (failures_in_a_row > failures_before_trial_) return take_out(failures_in_a_row, now);
      break;
  }
  return std::nullopt;
}

std::optional<Ejection::Change> Ejection::expire(std::uint32_t failures_in_a_row,
                                                 std::chrono::nanoseconds now) {
  if (state_ != State::Out || now < until_) return std::nullopt;
  // A session that was picked before has connected meanwhile: that was the trial.
  if (failures_in_a_row == 0) return bring_back();
  state_ = State::OnTrial;
  failures_before_trial_ = failures_in_a_row;
  return Change{Health::Up, true,
                fmt::format("was out of rotation for {}: one session tries it", format_duration(penalty_))};
}

std::optional<std::chrono::nanoseconds> Ejection::due() const {
  if (state_ != State::Out) return std::nullopt;
  return until_;
}

}  // namespace weir
