#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "lb/base/duration.h"
#include "lb/base/state.h"

namespace weir {

/// Passive health of a backend that is not probed (`probe = "none"`). Pure: the time and the backend's count
/// of connects failed in a row are passed in.
///
///   in rotation --3 failures in a row--> out (1 s, doubling to 30 s) --time is over--> on trial: one session
///   tries it
///        ^                                ^                                              |  worked      |
///        failed | +----------------------------------------------|--------------+
///        +-------------------------------------------------------------------------------+  (back-off
///        forgotten)
class Ejection {
 public:
  static constexpr std::uint32_t kFailures = 3;
  static constexpr Millis kFirstPenalty{1'000};
  static constexpr Millis kLongestPenalty{30'000};

  /// What to tell of the backend from now on.
  struct Change {
    Health health;
    bool on_trial;
    std::string reason;
  };

  /// The workers' count has changed, or may have.
  std::optional<Change> connects(std::uint32_t failures_in_a_row, std::chrono::nanoseconds now);
  /// `due` has come. The workers' count again, because a trial is judged by how it moves from here.
  std::optional<Change> expire(std::uint32_t failures_in_a_row, std::chrono::nanoseconds now);

  /// When to call expire(); nothing unless it is out.
  std::optional<std::chrono::nanoseconds> due() const;
  bool on_trial() const { return state_ == State::OnTrial; }
  bool in_rotation() const { return state_ == State::InRotation; }

 private:
  enum class State : std::uint8_t { InRotation, Out, OnTrial };

  Change take_out(std::uint32_t failures_in_a_row, std::chrono::nanoseconds now);
  Change bring_back();

  State state_ = State::InRotation;
  Millis penalty_{0};  ///< the last one; zero once it has worked
  std::chrono::nanoseconds until_{0};
  std::uint32_t failures_before_trial_ = 0;
};

}  // namespace weir
