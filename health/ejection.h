#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "lb/base/duration.h"
#include "lb/base/state.h"

namespace weir {

/// Passive health of a backend that is not probed (`probe = "none"`). Pure: the time and the backend's count
/// of connects failed in a row are passed in. It knows this backend alone: whether the pool can do without it
/// is Pool::build's to say, and until then sessions may go on using it.
///
///   in rotation --eject_after failures in a row--> out (eject_for, doubling) --time is over--> on trial
///        ^                                          |  ^                                       |   |
///        +-----------a connect has worked-----------+  +---------------- failed ---------------+   |
///        +----------------------------------------- worked ----------------------------------------+
class Ejection {
 public:
  struct Limits {
    std::uint32_t after = 3;  ///< failures in a row; 0 = it is never ejected
    Millis first{1'000};
    Millis longest{30'000};  ///< at least `first`
  };
  /// So long without a failure, while it could have failed, and the next ejection is as short as the first.
  static constexpr Millis kForgiven{60'000};

  /// What to tell of the backend from now on.
  struct Change {
    Health health;
    bool on_trial;
    std::string reason;
  };

  explicit Ejection(const Limits& limits) : limits_(limits) {}

  /// An older process, or one under other limits, had taken it out: before anything else.
  Change begin_out(std::chrono::nanoseconds now);
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

  void note_failure(std::chrono::nanoseconds now);
  Change take_out(std::uint32_t failures_in_a_row, std::chrono::nanoseconds now);
  Change bring_back();

  Limits limits_;
  State state_ = State::InRotation;
  std::uint32_t failures_seen_ = 0;
  Millis penalty_{0};  ///< the last one; zero when it is forgiven
  std::chrono::nanoseconds until_{0};
  std::chrono::nanoseconds last_failure_{0};
};

}  // namespace weir
