#include "health/ejection.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weir {

void Ejection::note_failure(std::chrono::nanoseconds now) {
  if (now - std::max(last_failure_, until_) >= kForgiven) penalty_ = Millis::zero();
  last_failure_ = now;
}

Ejection::Change Ejection::take_out(std::uint32_t failures_in_a_row, std::chrono::nanoseconds now) {
  penalty_ = penalty_ == Millis::zero() ? limits_.first : std::min(penalty_ * 2, limits_.longest);
  until_ = now + penalty_;
  state_ = State::Out;
  return {Health::Down, false,
          fmt::format("connect failed {} time{} in a row: ejected for {}", failures_in_a_row,
                      failures_in_a_row == 1 ? "" : "s", format_duration(penalty_))};
}

Ejection::Change Ejection::begin_out(std::chrono::nanoseconds now) {
  Change change = take_out(0, now);
  change.reason = fmt::format("was ejected before: ejected for {}", format_duration(penalty_));
  return change;
}

Ejection::Change Ejection::bring_back() {
  state_ = State::InRotation;
  return {Health::Up, false, "connect worked: back in rotation"};
}

std::optional<Ejection::Change> Ejection::connects(std::uint32_t failures_in_a_row,
                                                   std::chrono::nanoseconds now) {
  // The count only ever falls by going to zero: less than before means that a connect has worked since.
  const std::uint32_t seen = std::exchange(failures_seen_, failures_in_a_row);
  const bool worked = failures_in_a_row < seen;
  const bool failed = worked ? failures_in_a_row > 0 : failures_in_a_row > seen;
  if (failed) note_failure(now);
  std::optional<Change> change;
  if (worked && state_ != State::InRotation) change = bring_back();
  const bool too_many = limits_.after != 0 && failures_in_a_row >= limits_.after;
  if ((state_ == State::InRotation && too_many) || (state_ == State::OnTrial && failed))
    change = take_out(failures_in_a_row, now);
  return change;
}

std::optional<Ejection::Change> Ejection::expire(std::uint32_t failures_in_a_row,
                                                 std::chrono::nanoseconds now) {
  if (state_ != State::Out || now < until_) return std::nullopt;
  if (auto change = connects(failures_in_a_row, now)) return change;
  state_ = State::OnTrial;
  return Change{Health::Up, true, fmt::format("was ejected for {}", format_duration(penalty_))};
}

std::optional<std::chrono::nanoseconds> Ejection::due() const {
  if (state_ != State::Out) return std::nullopt;
  return until_;
}

}  // namespace weir
