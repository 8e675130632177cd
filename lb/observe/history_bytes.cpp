// The history for the process that follows, and back. One that knows another form begins with an empty
// history.
#include <algorithm>

#include "lb/base/packed.h"
#include "lb/observe/history.h"

namespace weir {

namespace {

constexpr std::string_view kForm = "weir-history-1\n";

void put(PackedWriter& to, const HistoryStep& step) {
  // One more than it is, so that 0 is nobody's.
  to.number(step.seen() ? std::uint64_t{step.active} + 1 : 0);
  if (!step.seen()) return;
  to.number(step.sessions);
  to.number(step.connect_failures);
  to.number(step.backend_resets);
  to.number(step.probes_failed);
  to.number(step.unserved);
  to.number(step.connect_p50);
  to.number(step.connect_p99);
  to.number(step.bytes_to_backend);
  to.number(step.bytes_to_client);
}

HistoryStep step_from(PackedReader& from) {
  HistoryStep out;
  const std::uint64_t active = from.number(HistoryStep::kUnseen);
  if (active == 0) return out;
  out.active = static_cast<std::uint32_t>(active - 1);
  from.into(out.sessions);
  from.into(out.connect_failures);
  from.into(out.backend_resets);
  from.into(out.probes_failed);
  from.into(out.unserved);
  for (std::uint8_t* const bucket : {&out.connect_p50, &out.connect_p99}) {
    from.into(*bucket);
    if (*bucket >= time_buckets::kCount && *bucket != HistoryStep::kNoTime) from.fault();
  }
  from.into(out.bytes_to_backend);
  from.into(out.bytes_to_client);
  return out;
}

void put(PackedWriter& to, const TimeCounts& counts) {
  to.number(counts.sum);
  to.number(static_cast<std::uint64_t>(std::ranges::count_if(counts.counts, [](auto n) { return n > 0; })));
  for (std::size_t i = 0; i < counts.counts.size(); ++i) {
    if (counts.counts[i] == 0) continue;
    to.number(i);
    to.number(counts.counts[i]);
  }
}

TimeCounts times_from(PackedReader& from) {
  TimeCounts out;
  from.into(out.sum);
  for (std::uint64_t left = from.number(time_buckets::kCount); left > 0; --left) {
    const auto bucket = static_cast<std::size_t>(from.number(time_buckets::kCount - 1));
    from.into(out.counts[bucket]);
  }
  return out;
}

}  // namespace

/// The only one who sees what a series is made of.
struct HistoryBytes {
  static void put(PackedWriter& to, const HistorySeries& series) {
    to.number(series.begun_ ? 1 : 0);
    if (!series.begun_) return;
    to.number(series.first_);
    to.number(series.last_);
    for (const HistoryStep& step : series.last_short()) weir::put(to, step);
    for (const HistoryStep& step : series.last_long()) weir::put(to, step);
    weir::put(to, series.short_connects_);
    weir::put(to, series.long_connects_);
  }

  template <std::size_t N>
  static void take(PackedReader& from, std::array<HistoryStep, N>& ring, std::uint64_t first,
                   std::uint64_t last) {
    for (std::uint64_t n = std::max(first, last - std::min<std::uint64_t>(last, N - 1)); n <= last; ++n)
      ring[n % N] = step_from(from);
  }
  /// `most`: the step that is under way.
  static void take(PackedReader& from, HistorySeries& series, std::uint64_t most) {
    if (from.number(1) == 0) return;
    series.begun_ = true;
    series.first_ = from.number(most);
    series.last_ = from.number(most);
    if (series.first_ > series.last_) from.fault();
    if (!from.good()) return;
    constexpr auto kInLong = HistorySeries::kShortInLong;
    take(from, series.short_, series.first_, series.last_);
    take(from, series.long_, series.first_ / kInLong, series.last_ / kInLong);
    series.short_connects_ = times_from(from);
    series.long_connects_ = times_from(from);
  }
};

std::string History::to_bytes() const {
  PackedWriter out(kForm);
  out.number(static_cast<std::uint64_t>(start_.time_since_epoch().count()));
  HistoryBytes::put(out, all_);
  // Each list ends with a 0.
  for (const auto& [name, pool] : pools_) {
    if (out.size() >= kMostBytes) break;
    out.number(1);
    out.text(name);
    HistoryBytes::put(out, pool->series);
  }
  out.number(0);
  for (const auto& [id, backend] : backends_) {
    if (out.size() >= kMostBytes) break;
    out.number(1);
    out.text(backend->pool);
    out.text(backend->name);
    HistoryBytes::put(out, backend->series);
  }
  out.number(0);
  return out.take();
}

std::optional<History> History::from_bytes(std::string_view bytes, Steady now) {
  PackedReader from(bytes, kForm);
  const auto now_number =
      static_cast<std::uint64_t>(std::max<Steady::rep>(now.time_since_epoch().count(), 0));
  History out(Steady(Steady::duration(static_cast<Steady::rep>(from.number(now_number)))));
  const auto most = static_cast<std::uint64_t>((now - out.start_) / HistorySeries::kShortStep);
  HistoryBytes::take(from, out.all_, most);
  while (from.number(1) == 1) {
    auto& pool = out.pools_[from.text()];
    pool = std::make_unique<OfPool>();
    HistoryBytes::take(from, pool->series, most);
  }
  while (from.number(1) == 1) {
    auto backend = std::make_unique<OfBackend>();
    backend->pool = from.text();
    backend->name = from.text();
    HistoryBytes::take(from, backend->series, most);
    // Of two of one name the younger one is meant, and comes last.
    auto& place = out.handed_over_[{backend->pool, backend->name}];
    place = std::move(backend);
  }
  if (!from.good()) return std::nullopt;
  return out;
}

}  // namespace weir
