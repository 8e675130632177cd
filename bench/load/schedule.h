#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "bench/load/clock.h"

namespace weir::load {

struct ScheduleOptions {
  double rate_per_second = 0;  ///< 0: closed loop, the next one as soon as a connection is free
  std::optional<std::uint64_t> count;
  std::optional<Nanos> duration;
};

/// Says when operations are due. In an open loop operation k is due at start + k / rate whatever became of
/// the ones before it, and its latency counts from there: a stall is seen by every operation that was due in
/// it.
class Schedule {
 public:
  explicit Schedule(const ScheduleOptions& options) : options_(options) {}

  void begin(Nanos now) {
    start_ = now;
    end_ = options_.duration ? now + *options_.duration : kNever;
  }

  /// The intended start of the next operation, when it is due; it is then the caller's.
  std::optional<Nanos> take(Nanos now) {
    const Nanos intended = next_due(now);
    if (intended > now) return std::nullopt;
    ++taken_;
    return intended;
  }

  /// When the next operation is due; kNever when none is left.
  Nanos next_due(Nanos now) const {
    if (abandoned_ || (options_.count && taken_ >= *options_.count)) return kNever;
    const Nanos due = options_.rate_per_second > 0 ? due_of(taken_) : now;
    return due < end_ ? due : kNever;
  }

  /// Makes nothing due any more. Returns how many were due by `now` and have not been taken; in a closed loop
  /// those missing from the count.
  std::uint64_t abandon(Nanos now) {
    const std::uint64_t due = due_by(now);
    const std::uint64_t missing = !abandoned_ && due > taken_ ? due - taken_ : 0;
    abandoned_ = true;
    return missing;
  }

  bool open_loop() const { return options_.rate_per_second > 0; }
  std::uint64_t taken() const { return taken_; }
  Nanos start() const { return start_; }
  Nanos end() const { return end_; }

 private:
  std::uint64_t due_by(Nanos now) const {
    if (!open_loop()) return options_.count.value_or(0);
    const double passed = to_seconds(std::min(now, end_) - start_);
    const auto due = static_cast<std::uint64_t>(std::max(0.0, passed) * options_.rate_per_second);
    return options_.count ? std::min(due, *options_.count) : due;
  }
  Nanos due_of(std::uint64_t k) const {
    return start_ + static_cast<Nanos>(static_cast<double>(k) * 1e9 / options_.rate_per_second);
  }

  ScheduleOptions options_;
  std::uint64_t taken_ = 0;
  bool abandoned_ = false;
  Nanos start_ = kNever;
  Nanos end_ = kNever;
};

}  // namespace weir::load
