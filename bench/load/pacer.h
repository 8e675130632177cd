#pragma once

#include <algorithm>

#include "bench/load/clock.h"

namespace weir::load {

/// Spreads bytes evenly over time, in chunks. What a stall of over 100 ms kept from moving is not made up
/// for.
class Pacer {
 public:
  Pacer(double bytes_per_second, std::size_t chunk_bytes)
      : rate_(bytes_per_second), chunk_(static_cast<double>(chunk_bytes)) {}

  void begin(Nanos now) { last_ = now; }

  bool may_move(Nanos now) {
    credit_ = std::min(credit_ + to_seconds(now - last_) * rate_, std::max(2 * chunk_, rate_ / 10));
    last_ = now;
    return credit_ >= chunk_;
  }
  void moved(std::size_t bytes) { credit_ -= static_cast<double>(bytes); }

  /// When may_move() will be true if nothing moves until then.
  Nanos next() const { return last_ + static_cast<Nanos>(std::max(0.0, chunk_ - credit_) / rate_ * 1e9) + 1; }

 private:
  double rate_;
  double chunk_;
  double credit_ = 0;
  Nanos last_ = 0;
};

}  // namespace weir::load
