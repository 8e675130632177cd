#include "lb/cli/sparklines.h"

#include <algorithm>
#include <cmath>

namespace weir {

void Sparklines::add(const std::map<std::string, SparkSample>& look) {
  std::erase_if(of_, [&](const auto& one) { return !look.contains(one.first); });
  for (const auto& [name, sample] : look) {
    auto& samples = of_[name];
    samples.push_back(sample);
    if (samples.size() > kMost) samples.pop_front();
  }
}

double Sparklines::most(const std::string& name, double SparkSample::*of, std::size_t columns) const {
  const auto found = of_.find(name);
  if (found == of_.end()) return 0;
  double out = 0;
  const auto& samples = found->second;
  for (std::size_t i = samples.size() - std::min(columns, samples.size()); i < samples.size(); ++i)
    out = std::max(out, samples[i].*of);
  return out;
}

std::string Sparklines::sparkline(const std::string& name, double SparkSample::*of,
                                  std::size_t columns) const {
  static constexpr std::string_view kSteps[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr auto kLast = static_cast<double>(std::size(kSteps) - 1);
  const auto found = of_.find(name);
  const std::size_t seen = found == of_.end() ? 0 : std::min(columns, found->second.size());
  std::string out(columns - seen, ' ');
  if (seen == 0) return out;
  const double largest = most(name, of, columns);
  for (std::size_t i = found->second.size() - seen; i < found->second.size(); ++i) {
    const double value = found->second[i].*of;
    // What is not nothing is seen.
    const double step = largest > 0 && value > 0 ? std::max(1.0, std::round(value / largest * kLast)) : 0;
    out += kSteps[static_cast<std::size_t>(std::min(step, kLast))];
  }
  return out;
}

}  // namespace weir
