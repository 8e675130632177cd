#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace weir {

/// Something that is so for a while and is said when it begins and when it has ended, however often it comes
/// and goes in between. One thread.
class Condition {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  /// It has ended when it has not been so for this long.
  static constexpr std::chrono::seconds kEnded{10};

  enum class Change : std::uint8_t { Begins, Ends };
  /// Whether it is so now. To be asked again and again, also when it is not.
  std::optional<Change> look(bool is_so, TimePoint now) {
    if (is_so) {
      last_so_ = now;
      if (begun_) return std::nullopt;
      begun_ = now;
      return Change::Begins;
    }
    if (!begun_ || now - last_so_ < kEnded) return std::nullopt;
    lasted_ = last_so_ - *begun_;
    begun_.reset();
    return Change::Ends;
  }
  bool is_so() const { return begun_.has_value(); }
  /// Of the last one that has ended.
  std::chrono::steady_clock::duration lasted() const { return lasted_; }

 private:
  std::optional<TimePoint> begun_;
  TimePoint last_so_;
  std::chrono::steady_clock::duration lasted_{0};
};

}  // namespace weir
