#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "lb/control/elder_counts.h"
#include "lb/control/http_server.h"
#include "lb/control/registry.h"
#include "lb/net/background.h"
#include "lb/observe/exposition.h"

namespace weir {

/// What is told of the process itself.
struct MetricsFacts {
  std::string version;
  std::uint64_t sessions = 0;
  std::uint64_t most_sessions = 0;
  std::chrono::system_clock::time_point last_reload_success;
  bool last_reload_good = true;
  std::map<std::string, std::uint64_t> own_trouble;  ///< by kind
};

/// What is scraped, as text. `process`: with what the kernel says of this process, which takes a while where
/// it has many descriptors. Any thread.
std::string expose(const MetricsView& view, const MetricsFacts& facts, Exposition::Format format,
                   bool process = true);

/// Answers GET /metrics: asks older processes, puts together here whose counts are wanted, and reads, writes
/// and compresses them on a thread of its own, so that neither the control thread nor a worker waits. Control
/// thread only.
class Metrics {
 public:
  /// Scrapes that may be under way at once: more are told to come again.
  static constexpr std::size_t kAtOnce = 4;

  Metrics(Loop& loop, Registry& registry, Predecessors& predecessors, std::function<MetricsFacts()> facts);

  void handle(const HttpRequest& request, const HttpServer::Answer& answer);

 private:
  void expose_apart(MetricsView view, const HttpRequest& request, const HttpServer::Answer& answer);

  const Registry& registry_;
  ElderCounts elders_;
  std::function<MetricsFacts()> facts_;
  std::size_t under_way_ = 0;
  Background background_;
};

/// By an Accept-Encoding header (RFC 9110, 12.5.3, as far as anybody uses it): gzip is named, and not with a
/// weight of nothing.
bool takes_gzip(std::string_view accepted);

}  // namespace weir
