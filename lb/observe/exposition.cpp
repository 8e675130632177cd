#include "lb/observe/exposition.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace weir {
namespace {

std::string_view type_of(MetricKind kind) {
  constexpr std::string_view kTypes[] = {"counter", "gauge", "histogram", "info"};
  return kTypes[static_cast<std::size_t>(kind)];
}

constexpr std::string_view kTotal = "_total";
constexpr std::string_view kInfo = "_info";

/// The name in the header: of OpenMetrics without what the samples have at their end.
std::string_view header_name(const MetricFamily& family, Exposition::Format format) {
  std::string_view name = family.name;
  if (format == Exposition::Format::Prometheus) return name;
  if (family.kind == MetricKind::Counter) name.remove_suffix(kTotal.size());
  if (family.kind == MetricKind::Info) name.remove_suffix(kInfo.size());
  return name;
}

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return {buffer, end};
}

/// How much a media range is wanted: 0 to 1; 0 when it is not named.
double weight_of(std::string_view accept, std::string_view type) {
  const auto at = accept.find(type);
  if (at == std::string_view::npos) return 0;
  const std::string_view range = accept.substr(at, accept.substr(at).find(','));
  const auto q = range.find("q=");
  if (q == std::string_view::npos) return 1;
  double weight = 1;
  std::from_chars(range.data() + q + 2, range.data() + range.size(), weight);
  return weight;
}

}  // namespace

void Labels::add(std::string_view name, std::string_view value) {
  if (!text_.empty()) text_ += ',';
  text_ += name;
  text_ += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') text_ += '\\';
    if (c == '\n')
      text_ += "\\n";
    else
      text_ += c;
  }
  text_ += '"';
}

void Exposition::begin(const MetricFamily& family) {
  family_ = &family;
  headed_ = false;
}

void Exposition::head() {
  if (headed_) return;
  headed_ = true;
  const std::string_view name = header_name(*family_, format_);
  // Prometheus's own format knows no info.
  const bool as_gauge = family_->kind == MetricKind::Info && format_ == Format::Prometheus;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, family_->help, name,
                       as_gauge ? "gauge" : type_of(family_->kind));
}

void Exposition::line(std::string_view suffix, std::string_view labels, std::string_view value) {
  text_ += family_->name;
  text_ += suffix;
  if (!labels.empty()) {
    text_ += '{';
    text_ += labels;
    text_ += '}';
  }
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

void Exposition::sample(const Labels& labels, std::uint64_t value) {
  head();
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  line("", labels.text(), {buffer, static_cast<std::size_t>(end - buffer)});
}

void Exposition::sample(const Labels& labels, double value) {
  head();
  line("", labels.text(), number_text(value));
}

void Exposition::histogram(const Labels& labels, std::span<const CumulativeBucket> buckets,
                           std::string_view sum) {
  head();
  std::string with_most = labels.text();
  if (!with_most.empty()) with_most += ',';
  with_most += "le=\"";
  const std::size_t common = with_most.size();
  char buffer[24];
  std::string_view count;
  for (const CumulativeBucket& bucket : buckets) {
    with_most.resize(common);
    with_most += bucket.most;
    with_most += '"';
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, bucket.count).ptr;
    count = {buffer, static_cast<std::size_t>(end - buffer)};
    line("_bucket", with_most, count);
  }
  line("_sum", labels.text(), sum);
  line("_count", labels.text(), count);
}

std::string Exposition::finish() {
  if (format_ == Format::OpenMetrics) text_ += "# EOF\n";
  return std::move(text_);
}

std::string_view Exposition::content_type(Format format) {
  return format == Format::OpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                       : "text/plain; version=0.0.4; charset=utf-8";
}

Exposition::Format Exposition::format_wanted(std::string_view accept) {
  const double open = weight_of(accept, "application/openmetrics-text");
  return open > 0 && open >= weight_of(accept, "text/plain") ? Format::OpenMetrics : Format::Prometheus;
}

std::string seconds_text(std::uint64_t microseconds) {
  constexpr std::uint64_t kSecond = 1'000'000;
  std::string out = fmt::format("{}.{:06}", microseconds / kSecond, microseconds % kSecond);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

}  // namespace weir
