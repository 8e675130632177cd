#pragma once

#include <algorithm>
#include <chrono>
#include <memory>

#include "lb/observe/histogram.h"

namespace weir {

/// What a histogram has counted of late: over the last one to two steps. A value; time is passed in.
class LatencyWindow {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::seconds kStep{60};

  bool due(Time now) const { return now - sampled_ >= kStep; }
  void sample(Time now, const TimeCounts& total) {
    sampled_ = now;
    older_ = newer_ ? std::move(newer_) : std::make_shared<const TimeCounts>();
    newer_ = std::make_shared<const TimeCounts>(total);
  }
  TimeCounts recent(const TimeCounts& total) const { return older_ ? total - *older_ : total; }

 private:
  Time sampled_{};
  std::shared_ptr<const TimeCounts> older_, newer_;  ///< null: none has been taken yet
};

}  // namespace weir
