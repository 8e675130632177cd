#include "bench/load/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace weir::load {

namespace {

double to_micros(std::uint64_t nanos) {
  return static_cast<double>(nanos) / 1e3;
}

std::string to_text(const Report::Value& value) {
  if (const auto* count = std::get_if<std::uint64_t>(&value)) return fmt::format("{}", *count);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{:.3f}", *number);
  return std::get<std::string>(value);
}

}  // namespace

void Report::add_latency(std::string_view what, const Histogram& histogram) {
  add_count(fmt::format("{}_samples", what), histogram.count());
  if (histogram.count() == 0) return;
  const auto add_us = [&](const char* name, std::uint64_t nanos) {
    add(fmt::format("{}_{}_us", what, name), to_micros(nanos));
  };
  add_us("min", histogram.min());
  add(fmt::format("{}_mean_us", what), histogram.mean() / 1e3);
  add_us("p50", histogram.percentile(0.5));
  add_us("p90", histogram.percentile(0.9));
  add_us("p99", histogram.percentile(0.99));
  add_us("p99_9", histogram.percentile(0.999));
  add_us("max", histogram.max());
}

std::string Report::to_table() const {
  std::string text;
  for (const auto& [name, value] : figures_) text += fmt::format("{:<34} {:>18}\n", name, to_text(value));
  text += fmt::format("{:<34} {:>18}\n", "errors", errors_.total());
  for (std::size_t i = 0; i < kErrorNames.size(); ++i)
    if (errors_.of(i) > 0) text += fmt::format("  {:<32} {:>18}\n", kErrorNames[i], errors_.of(i));
  return text;
}

std::string Report::to_json() const {
  nlohmann::ordered_json json;
  for (const auto& [name, value] : figures_)
    std::visit([&json, &key = name](const auto& held) { json[key] = held; }, value);
  json["errors"] = errors_.total();
  auto& kinds = json["errors_by_kind"] = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < kErrorNames.size(); ++i)
    if (errors_.of(i) > 0) kinds[std::string(kErrorNames[i])] = errors_.of(i);
  return json.dump();
}

}  // namespace weir::load
