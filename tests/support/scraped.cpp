#include "tests/support/scraped.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>
#include <stdexcept>

namespace weir::test {
namespace {

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
constexpr std::string_view kDigits = "0123456789";

[[noreturn]] void wrong(std::string_view why, std::string_view line) {
  throw std::runtime_error(fmt::format("{}: \"{}\"", why, line.substr(0, 300)));
}

bool is_name(std::string_view text, std::string_view besides) {
  return !text.empty() && kDigits.find(text.front()) == std::string_view::npos &&
         std::ranges::all_of(text, [&](char c) {
           return (std::string(kLetters) + std::string(kDigits) + std::string(besides)).find(c) !=
                  std::string::npos;
         });
}

/// As both formats write numbers.
double number(std::string_view text, std::string_view line) {
  if (text == "+Inf") return HUGE_VAL;
  if (text == "-Inf") return -HUGE_VAL;
  if (text == "NaN") return std::nan("");
  const std::string copy(text);
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  const bool plain = copy.find_first_not_of("0123456789+-.eE") == std::string::npos;
  if (copy.empty() || *end != '\0' || !plain) wrong("no number", line);
  return value;
}

/// The labels between { and }; `text` begins behind the {, and is left behind the }.
LabelValues labels_of(std::string_view& text, std::string_view line) {
  LabelValues out;
  while (!text.starts_with('}')) {
    const auto equals = text.find("=\"");
    if (equals == std::string_view::npos) wrong("no label", line);
    const std::string name(text.substr(0, equals));
    if (!is_name(name, "")) wrong("no name of a label", line);
    text.remove_prefix(equals + 2);
    std::string value;
    for (; !text.starts_with('"'); text.remove_prefix(1)) {
      if (text.empty()) wrong("a label's value has no end", line);
      if (text.front() != '\\') {
        value += text.front();
        continue;
      }
      text.remove_prefix(1);
      if (!text.starts_with('n') && !text.starts_with('\\') && !text.starts_with('"'))
        wrong("unknown escape", line);
      value += text.front() == 'n' ? '\n' : text.front();
    }
    text.remove_prefix(1);
    if (!out.emplace(name, value).second) wrong("a label twice", line);
    if (text.starts_with(','))
      text.remove_prefix(1);
    else if (!text.starts_with('}'))
      wrong("labels without a comma between them", line);
    else
      break;
    if (text.starts_with('}')) wrong("a comma behind the last label", line);
  }
  text.remove_prefix(1);
  return out;
}

ScrapedSample sample_of(std::string_view line) {
  ScrapedSample out;
  const auto name_end = line.find_first_of("{ ");
  if (name_end == std::string_view::npos) wrong("no sample", line);
  out.name = line.substr(0, name_end);
  if (!is_name(out.name, ":")) wrong("no name of a metric", line);
  std::string_view rest = line.substr(name_end);
  if (rest.starts_with('{')) {
    rest.remove_prefix(1);
    out.labels = labels_of(rest, line);
  }
  if (!rest.starts_with(' ')) wrong("no blank before the value", line);
  out.value = number(rest.substr(1), line);
  return out;
}

/// What the name of a sample has behind its family's; nothing: it is of another one.
std::optional<std::string> suffix_of(const ScrapedFamily& family, const std::string& sample) {
  if (!sample.starts_with(family.name)) return std::nullopt;
  return sample.substr(family.name.size());
}

bool belongs(const ScrapedFamily& family, const std::string& suffix, Scraped::Format format) {
  const bool open = format == Scraped::Format::OpenMetrics;
  if (family.type == "histogram") return suffix == "_bucket" || suffix == "_sum" || suffix == "_count";
  if (family.type == "counter")
    return open ? suffix == "_total" : suffix.empty() && family.name.ends_with("_total");
  if (family.type == "info") return open && suffix == "_info";
  return suffix.empty();
}

/// The series of one histogram: buckets that grow to an +Inf that is the count.
void check_histogram(const ScrapedFamily& family) {
  struct One {
    std::vector<std::pair<double, double>> buckets;
    std::optional<double> sum, count;
  };
  std::map<LabelValues, One> all;
  for (const ScrapedSample& sample : family.samples) {
    LabelValues labels = sample.labels;
    const auto suffix = sample.name.substr(family.name.size());
    if (suffix == "_bucket") {
      const auto most = labels.extract("le");
      if (!most) wrong("a bucket without le", family.name);
      all[labels].buckets.emplace_back(number(most.mapped(), most.mapped()), sample.value);
    } else {
      auto& which = suffix == "_sum" ? all[labels].sum : all[labels].count;
      which = sample.value;
    }
  }
  for (const auto& [labels, one] : all) {
    if (!one.sum || !one.count || one.buckets.empty())
      wrong("a histogram without sum, count or bucket", family.name);
    for (std::size_t i = 1; i < one.buckets.size(); ++i)
      if (one.buckets[i].first <= one.buckets[i - 1].first ||
          one.buckets[i].second < one.buckets[i - 1].second)
        wrong("buckets that do not grow", family.name);
    if (one.buckets.back().first != HUGE_VAL || one.buckets.back().second != *one.count)
      wrong("the last bucket is not the count", family.name);
  }
}

}  // namespace

Scraped::Scraped(std::string_view text, Format format) {
  const bool open = format == Format::OpenMetrics;
  if (open) {
    if (!text.ends_with("\n# EOF\n"))
      wrong("no # EOF at the end", text.substr(text.size() > 40 ? text.size() - 40 : 0));
    text.remove_suffix(6);
  }
  std::set<std::string> names;
  std::set<std::pair<std::string, LabelValues>> series;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) wrong("a line without an end", text);
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) {
      const std::string_view rest = line.substr(7);
      const auto blank = rest.find(' ');
      if (blank == std::string_view::npos) wrong("half a header", line);
      const std::string name(rest.substr(0, blank)), value(rest.substr(blank + 1));
      if (!is_name(name, ":")) wrong("no name of a family", line);
      if (families_.empty() || families_.back().name != name) {
        if (!names.insert(name).second) wrong("a family twice, or in parts", line);
        families_.push_back({name, "", "", {}});
      }
      ScrapedFamily& family = families_.back();
      if (!family.samples.empty()) wrong("a header behind its samples", line);
      std::string& of = line[2] == 'H' ? family.help : family.type;
      if (!of.empty()) wrong("a header twice", line);
      of = value;
      if (line[2] == 'T' && value != "counter" && value != "gauge" && value != "histogram" &&
          (value != "info" || !open))
        wrong("unknown type", line);
      continue;
    }
    if (line.empty() || line.starts_with('#')) wrong("a line that is nothing", line);
    ScrapedSample sample = sample_of(line);
    if (families_.empty() || families_.back().type.empty()) wrong("a sample without a family", line);
    ScrapedFamily& family = families_.back();
    const auto suffix = suffix_of(family, sample.name);
    if (!suffix || !belongs(family, *suffix, format)) wrong("a sample of another family", line);
    if (family.type != "gauge" && !(sample.value >= 0)) wrong("a count below zero", line);
    if (family.type == "info" && sample.value != 1) wrong("an info that is not 1", line);
    if (!series.emplace(sample.name, sample.labels).second) wrong("a series twice", line);
    family.samples.push_back(std::move(sample));
  }
  for (const ScrapedFamily& family : families_) {
    if (family.samples.empty() || family.type.empty() || family.help.empty())
      wrong("half a family", family.name);
    if (family.type == "histogram") check_histogram(family);
  }
}

const ScrapedFamily* Scraped::find(std::string_view name) const {
  const auto found = std::ranges::find(families_, name, &ScrapedFamily::name);
  return found != families_.end() ? &*found : nullptr;
}

namespace {

bool has(const ScrapedSample& sample, std::string_view name, const LabelValues& labels) {
  return sample.name == name && std::ranges::all_of(labels, [&](const auto& label) {
           const auto found = sample.labels.find(label.first);
           return found != sample.labels.end() && found->second == label.second;
         });
}

}  // namespace

double Scraped::sum(std::string_view name, const LabelValues& labels) const {
  double out = 0;
  for (const ScrapedFamily& family : families_)
    for (const ScrapedSample& sample : family.samples)
      if (has(sample, name, labels)) out += sample.value;
  return out;
}

std::size_t Scraped::count(std::string_view name, const LabelValues& labels) const {
  std::size_t out = 0;
  for (const ScrapedFamily& family : families_)
    out += static_cast<std::size_t>(
        std::ranges::count_if(family.samples, [&](const auto& sample) { return has(sample, name, labels); }));
  return out;
}

}  // namespace weir::test
