#include "lb/control/history_json.h"

#include <cmath>
#include <vector>

#include "lb/control/json_text.h"

namespace weir {

namespace {

using Steps = std::vector<HistoryStep>;

template <class Number>
void add(JsonObject& to, std::string_view name, const Steps& steps, Number HistoryStep::*number) {
  std::string& out = to.value(name);
  append_json_array(out, steps, [&](const HistoryStep& step) {
    out += step.seen() ? std::to_string(step.*number) : "null";
  });
}

void add_times(JsonObject& to, std::string_view name, const Steps& steps, std::uint8_t HistoryStep::*bucket) {
  std::string& out = to.value(name);
  append_json_array(out, steps, [&](const HistoryStep& step) {
    if (step.*bucket == HistoryStep::kNoTime)
      out += "null";
    else
      append_json(out, static_cast<double>(time_buckets::end_of(step.*bucket).count()) / 1000);
  });
}

void add_load(JsonObject& to, const Steps& steps) {
  add(to, "active", steps, &HistoryStep::active);
  add(to, "sessions", steps, &HistoryStep::sessions);
  add(to, "connect_failures", steps, &HistoryStep::connect_failures);
}

void add_all(JsonObject& to, std::string_view name, const Steps& steps, std::chrono::seconds step) {
  JsonObject out(to.value(name));
  out.add("step_seconds", step.count());
  add_load(out, steps);
  add(out, "backend_resets", steps, &HistoryStep::backend_resets);
  add(out, "probes_failed", steps, &HistoryStep::probes_failed);
  add(out, "unserved", steps, &HistoryStep::unserved);
  add(out, "bytes_to_backend", steps, &HistoryStep::bytes_to_backend);
  add(out, "bytes_to_client", steps, &HistoryStep::bytes_to_client);
  add_times(out, "connect_p50_ms", steps, &HistoryStep::connect_p50);
  add_times(out, "connect_p99_ms", steps, &HistoryStep::connect_p99);
}

void add_series(JsonObject& to, const HistorySeries& series, History::System wall) {
  to.add("time", std::chrono::floor<std::chrono::seconds>(wall).time_since_epoch().count());
  add_all(to, "short", series.last_short(), HistorySeries::kShortStep);
  add_all(to, "long", series.last_long(), HistorySeries::kLongStep);
}

}  // namespace

std::string history_json(const HistorySeries& series, History::System wall) {
  std::string text;
  {
    JsonObject out(text);
    add_series(out, series, wall);
  }
  return text + "\n";
}

std::string history_json(const History& history) {
  std::string text;
  {
    JsonObject out(text);
    add_series(out, history.all(), history.wall());
    append_json_array(out.value("pools"), history.pools(), [&](const auto& pool) {
      JsonObject one(text);
      one.add("name", pool.first);
      JsonObject steps(one.value("short"));
      steps.add("step_seconds", HistorySeries::kShortStep.count());
      add_load(steps, pool.second->last_short());
    });
  }
  return text + "\n";
}

}  // namespace weir
