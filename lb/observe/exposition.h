#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

enum class MetricKind : std::uint8_t { Counter, Gauge, Histogram, Info };

/// A metric as scrapers know it. A counter's name ends in _total, an info's in _info, as the samples' do.
struct MetricFamily {
  std::string_view name;
  MetricKind kind;
  std::string_view labels;  ///< "pool, backend"; "" = none
  std::string_view help;    ///< a sentence without an end
};

/// Labels of a sample, as they are written: `pool="web",backend="a"`. The values may have any characters.
class Labels {
 public:
  Labels() = default;
  Labels(std::initializer_list<std::pair<std::string_view, std::string_view>> labels) {
    for (const auto& [name, value] : labels) add(name, value);
  }
  void add(std::string_view name, std::string_view value);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// A bucket of a histogram: how many took at most `most`, which is as it is written; "+Inf" is the last
/// one's.
struct CumulativeBucket {
  std::string_view most;
  std::uint64_t count;
};

/// Writes what is scraped: Prometheus's text format 0.0.4 or OpenMetrics 1.0. All samples of a family come
/// after its begin() and before the next one's. Any thread.
class Exposition {
 public:
  enum class Format : std::uint8_t { Prometheus, OpenMetrics };
  explicit Exposition(Format format) : format_(format) {}

  /// The header of a family; of one that has no sample nothing is written.
  void begin(const MetricFamily& family);
  void sample(const Labels& labels, std::uint64_t value);
  void sample(const Labels& labels, double value);
  /// `sum`: of all that was counted, as it is written.
  void histogram(const Labels& labels, std::span<const CumulativeBucket> buckets, std::string_view sum);

  /// The whole; nothing more can be added.
  std::string finish();

  static std::string_view content_type(Format format);
  /// By an Accept header: OpenMetrics where it is wanted more than, or as much as, anything else.
  static Format format_wanted(std::string_view accept);

 private:
  void head();
  void line(std::string_view suffix, std::string_view labels, std::string_view value);

  const Format format_;
  const MetricFamily* family_ = nullptr;
  bool headed_ = false;
  std::string text_;
};

/// Seconds of so many µs, exactly: "0.00005", "12.5".
std::string seconds_text(std::uint64_t microseconds);

}  // namespace weir
