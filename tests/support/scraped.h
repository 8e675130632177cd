#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::test {

using LabelValues = std::map<std::string, std::string>;

struct ScrapedSample {
  std::string name;
  LabelValues labels;
  double value = 0;
};

struct ScrapedFamily {
  std::string name;
  std::string type;
  std::string help;
  std::vector<ScrapedSample> samples;
};

/// What was scraped, as the strictest reader takes it: OpenMetrics 1.0 with its "# EOF", or else Prometheus's
/// text format 0.0.4. Throws std::runtime_error, with the line, for what either forbids: samples outside of
/// their family or without a type, a family or a series that comes twice, names, labels, escapes and numbers
/// that are none, buckets that do not grow, or do not add up to their count, a counter below zero.
class Scraped {
 public:
  enum class Format { Prometheus, OpenMetrics };
  Scraped(std::string_view text, Format format);

  const std::vector<ScrapedFamily>& families() const { return families_; }
  const ScrapedFamily* find(std::string_view family) const;
  /// The sum of the samples of that name which have these labels, and perhaps others.
  double sum(std::string_view name, const LabelValues& labels = {}) const;
  std::size_t count(std::string_view name, const LabelValues& labels = {}) const;

 private:
  std::vector<ScrapedFamily> families_;
};

}  // namespace weir::test
