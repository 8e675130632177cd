#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "bench/load/errors.h"
#include "bench/load/histogram.h"

namespace weir::load {

/// The outcome of a run as named figures in a fixed order. A name carries the unit (`elapsed_seconds`).
class Report {
 public:
  using Value = std::variant<std::uint64_t, double, std::string>;

  void add(std::string name, Value value) { figures_.emplace_back(std::move(name), std::move(value)); }
  void add_count(std::string name, std::uint64_t value) { add(std::move(name), value); }

  /// `what`_p50_us and so on; `histogram` is in nanoseconds.
  void add_latency(std::string_view what, const Histogram& histogram);
  void set_errors(const ErrorCounts& errors) { errors_ = errors; }

  std::string to_table() const;
  std::string to_json() const;  ///< one object on one line

 private:
  std::vector<std::pair<std::string, Value>> figures_;
  ErrorCounts errors_;
};

}  // namespace weir::load
