#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// What one backend has done at one look.
struct SparkSample {
  double active = 0;
  double fresh = 0;  ///< new sessions a second
  double bytes = 0;  ///< a second, both ways
};

/// The last looks at each backend, by the name of whoever keeps it. Bounded: kMost of each, and nothing of
/// those that a look has not shown. Pure.
class Sparklines {
 public:
  /// Two minutes, a look a second.
  static constexpr std::size_t kMost = 120;

  void add(const std::map<std::string, SparkSample>& look);
  /// The last `columns` values, the newest at the right, as "▁▂▃▄▅▆▇█": each in its part of the largest of
  /// them. Blanks where nothing has been seen yet.
  std::string sparkline(const std::string& name, double SparkSample::*of, std::size_t columns) const;
  /// The largest of those.
  double most(const std::string& name, double SparkSample::*of, std::size_t columns) const;

 private:
  std::map<std::string, std::deque<SparkSample>> of_;
};

}  // namespace weir
