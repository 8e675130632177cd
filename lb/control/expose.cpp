// What is scraped, out of what has been counted.
#include "lb/control/metrics.h"

#include <algorithm>
#include <array>
#include <vector>

#include "lb/control/registry_state.h"
#include "lb/observe/metric_list.h"
#include "lb/observe/process_metrics.h"

namespace weir {
namespace {

using Text = Exposition;

/// One backend's counts, added up.
struct Row {
  Labels labels;
  const MetricsView::Pool* pool = nullptr;
  const MetricsView::Backend* backend = nullptr;
  std::uint64_t active = 0;
  Departed::Counted counted;
};

/// What listeners have counted, by their names.
struct ListenerRow {
  Labels labels;
  std::uint64_t active = 0, accepted = 0, limit = 0;
  bool served = false;
  ListenerTally tally;
};

double seconds_since_epoch(std::chrono::system_clock::time_point time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

std::vector<Row> rows_of(const MetricsView& view) {
  std::vector<Row> out;
  for (const auto& pool : view.pools)
    for (const auto& backend : pool.backends) {
      Row& row = out.emplace_back();
      row.labels = {{"pool", pool.name}, {"backend", backend.name}};
      row.pool = &pool;
      row.backend = &backend;
      row.counted = backend.rest;
      row.active = backend.active_elsewhere;
      for (const auto& load : backend.loads) {
        row.active += load->active.load(std::memory_order_relaxed);
        row.counted += {totals_of(*load), tally_of(*load)};
      }
    }
  return out;
}

std::map<std::string, ListenerRow> listeners_of(const MetricsView& view) {
  std::map<std::string, ListenerRow> out;
  const auto row_of = [&out](const std::string& name) -> ListenerRow& {
    ListenerRow& row = out[name];
    row.labels = {{"listener", name}};
    return row;
  };
  for (const auto& listener : view.listeners) {
    const ListenerLoad& load = *listener.load;
    ListenerRow& row = row_of(load.name);
    row.active += load.active.load(std::memory_order_relaxed);
    row.accepted += total_of(load);
    row.tally += tally_of(load);
    if (!listener.served) continue;
    row.served = true;
    row.limit = load.max_connections.load(std::memory_order_relaxed);
  }
  for (const auto& [key, sessions] : view.elders.listeners) row_of(key.first).accepted += sessions;
  for (const auto& [key, tally] : view.elders.listener_tallies) row_of(key.first).tally += tally;
  for (const auto& [key, active] : view.elders.listener_active) row_of(key.first).active += active;
  return out;
}

// --- histograms

/// Of the buckets that are kept, four for each power of two, each fourth is told: [0] ends at 50 µs, and each
/// other one at twice the end of the one before.
void write(Text& text, const Labels& labels, const TimeCounts& times) {
  static const auto kEndTexts = [] {
    std::array<std::string, time_buckets::kPowers + 1> out;
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = seconds_text(static_cast<std::uint64_t>(time_buckets::end_of(4 * i).count()));
    return out;
  }();
  std::array<CumulativeBucket, kEndTexts.size() + 1> buckets;
  const std::uint64_t total = times.total();
  std::size_t used = 0;
  // One that has counted nothing is told in short.
  if (total > 0) {
    std::uint64_t sum = 0;
    std::size_t next = 0;
    for (; used < kEndTexts.size(); ++used) {
      for (; next <= 4 * used; ++next) sum += times.counts[next];
      buckets[used] = {kEndTexts[used], sum};
    }
  }
  buckets[used++] = {"+Inf", total};
  text.histogram(labels, {buckets.data(), used}, seconds_text(times.sum));
}

template <class Buckets, class EndText>
void write(Text& text, const Labels& labels, const AmountCounts<Buckets>& amounts, EndText end_text,
           const std::string& sum) {
  static const auto kEndTexts = [&] {
    std::array<std::string, Buckets::kCount - 1> out;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = end_text(Buckets::end_of(i));
    return out;
  }();
  std::array<CumulativeBucket, Buckets::kCount> buckets;
  std::uint64_t total = 0;
  for (const std::uint64_t count : amounts.counts) total += count;
  std::size_t used = 0;
  if (total > 0) {
    std::uint64_t so_far = 0;
    for (; used < kEndTexts.size(); ++used) buckets[used] = {kEndTexts[used], so_far += amounts.counts[used]};
  }
  buckets[used++] = {"+Inf", total};
  text.histogram(labels, {buckets.data(), used}, sum);
}

// --- families

void write_process_of(Text& text, const MetricsView& view, const MetricsFacts& facts) {
  text.begin(metrics::kBuildInfo);
  text.sample({{"version", facts.version}}, std::uint64_t{1});
  text.begin(metrics::kConfigGeneration);
  text.sample({}, view.generation);
  text.begin(metrics::kLastReloadSuccess);
  text.sample({}, seconds_since_epoch(facts.last_reload_success));
  text.begin(metrics::kLastReloadGood);
  text.sample({}, std::uint64_t{facts.last_reload_good});
  text.begin(metrics::kOldestOverride);
  if (view.oldest_override != std::chrono::system_clock::time_point())
    text.sample({}, seconds_since_epoch(view.oldest_override));
  text.begin(metrics::kSessions);
  std::uint64_t sessions = facts.sessions;
  for (const auto& [key, active] : view.elders.listener_active) sessions += active;
  text.sample({}, sessions);
  text.begin(metrics::kSessionsLimit);
  text.sample({}, facts.most_sessions);
}

void write_listeners(Text& text, const std::map<std::string, ListenerRow>& listeners) {
  text.begin(metrics::kListenerSessions);
  for (const auto& [name, row] : listeners)
    if (row.served || row.active > 0) text.sample(row.labels, row.active);
  text.begin(metrics::kListenerLimit);
  for (const auto& [name, row] : listeners)
    if (row.served && row.limit > 0) text.sample(row.labels, row.limit);
  text.begin(metrics::kListenerAccepted);
  for (const auto& [name, row] : listeners) text.sample(row.labels, row.accepted);
  text.begin(metrics::kRefused);
  // All reasons of those that are served, so that the first one is seen as an increase.
  for (const auto& [name, row] : listeners)
    for (std::size_t end = 0; end < kEnds; ++end)
      if (is_turned_away(static_cast<End>(end)) && (row.served || row.tally.turned_away[end] > 0))
        text.sample({{"listener", name}, {"reason", to_string(static_cast<End>(end))}},
                    row.tally.turned_away[end]);
}

void write_ends(Text& text, std::string_view listener, std::string_view pool, std::string_view backend,
                const PageCounts& page) {
  for (std::size_t end = 0; end < kEnds; ++end)
    if (page.by_end[end] > 0)
      text.sample({{"listener", listener},
                   {"pool", pool},
                   {"backend", backend},
                   {"end", to_string(static_cast<End>(end))}},
                  page.by_end[end]);
}

/// Of sessions that no backend had, and of backends that have left long ago: by listener and pool.
using Without = std::map<std::pair<std::string, std::string>, PageCounts>;

Without without_backend(const std::vector<Row>& rows, const std::map<std::string, ListenerRow>& listeners) {
  Without out;
  for (const auto& [name, row] : listeners)
    for (const auto& [pool, page] : row.tally.unserved) out[{name, pool.empty() ? "-" : pool}] += page;
  for (const Row& row : rows)
    if (row.backend->name == "-")
      for (const auto& [listener, page] : row.counted.tally.ends) out[{listener, row.pool->name}] += page;
  return out;
}

void write_sessions(Text& text, const std::vector<Row>& rows, const Without& without) {
  text.begin(metrics::kSessionsEnded);
  for (const Row& row : rows)
    if (row.backend->name != "-")
      for (const auto& [listener, page] : row.counted.tally.ends)
        write_ends(text, listener, row.pool->name, row.backend->name, page);
  for (const auto& [key, page] : without) write_ends(text, key.first, key.second, "-", page);
}

void write_pools(Text& text, const MetricsView& view, const std::vector<Row>& rows, const Without& without) {
  struct OfPool {
    std::uint64_t retries = 0;
    TimeCounts waits;
  };
  std::map<std::string_view, OfPool> pools;
  for (const Row& row : rows)
    for (const auto& [listener, page] : row.counted.tally.ends)
      if (row.backend->name != "-") pools[row.pool->name].retries += page.retries;
  for (const auto& [key, page] : without) {
    OfPool& pool = pools[key.second];
    pool.retries += page.retries;
    pool.waits += page.queue_waits;
  }
  text.begin(metrics::kRetries);
  for (const auto& pool : view.pools) text.sample({{"pool", pool.name}}, pools[pool.name].retries);
  text.begin(metrics::kQueueSessions);
  for (const auto& pool : view.pools)
    if (!pool.removed && pool.load != nullptr)
      text.sample({{"pool", pool.name}}, std::uint64_t{pool.load->queued()});
  text.begin(metrics::kQueueWait);
  for (const auto& pool : view.pools) write(text, Labels{{"pool", pool.name}}, pools[pool.name].waits);
  text.begin(metrics::kPoolVerdict);
  for (const auto& pool : view.pools)
    for (const auto verdict : {PoolVerdict::Ok, PoolVerdict::Degraded, PoolVerdict::BackupInUse,
                               PoolVerdict::Down, PoolVerdict::Unknown}) {
      if (pool.removed) continue;
      std::string word(to_string(verdict));
      std::ranges::replace(word, ' ', '_');
      text.sample({{"pool", pool.name}, {"verdict", word}}, std::uint64_t{pool.verdict == verdict});
    }
  text.begin(metrics::kHedges);
  for (const auto& pool : view.pools)
    if (pool.hedges && pool.load != nullptr)
      text.sample({{"pool", pool.name}}, pool.load->hedged.load(std::memory_order_relaxed));
}

void write_state(Text& text, const Row& row) {
  const MetricsView::Backend& backend = *row.backend;
  const auto say = [&](std::string_view state, bool is_so) {
    text.sample({{"pool", row.pool->name}, {"backend", backend.name}, {"state", state}},
                std::uint64_t{is_so});
  };
  for (const Health health : {Health::Up, Health::Down, Health::Unknown})
    say(to_string(health), backend.health == health);
  for (const Admin admin : {Admin::Drained, Admin::Disabled}) say(to_string(admin), backend.admin == admin);
}

void write_backends(Text& text, const std::vector<Row>& rows) {
  text.begin(metrics::kBackendSessions);
  for (const Row& row : rows)
    if (row.backend->member || row.active > 0) text.sample(row.labels, row.active);
  const auto totals = [&](const MetricFamily& family, std::uint64_t Totals::*of) {
    text.begin(family);
    for (const Row& row : rows) text.sample(row.labels, row.counted.totals.*of);
  };
  totals(metrics::kBytesToBackend, &Totals::bytes_to_backend);
  totals(metrics::kBytesToClient, &Totals::bytes_to_client);
  totals(metrics::kConnectFailures, &Totals::connect_failures);
  text.begin(metrics::kBackendState);
  for (const Row& row : rows)
    if (row.backend->member) write_state(text, row);
  text.begin(metrics::kProbes);
  for (const Row& row : rows)
    for (const auto& [result, count] : {std::pair("passed", row.counted.tally.probes_passed),
                                        std::pair("failed", row.counted.tally.probes_failed)})
      text.sample({{"pool", row.pool->name}, {"backend", row.backend->name}, {"result", result}}, count);
  const auto times = [&](const MetricFamily& family, TimeCounts Tally::*of) {
    text.begin(family);
    for (const Row& row : rows) write(text, row.labels, row.counted.tally.*of);
  };
  times(metrics::kProbeSeconds, &Tally::probes);
  times(metrics::kConnectSeconds, &Tally::connects);
  times(metrics::kFirstByteSeconds, &Tally::first_bytes);
  text.begin(metrics::kSessionSeconds);
  for (const Row& row : rows)
    write(text, row.labels, row.counted.tally.spans, seconds_text, seconds_text(row.counted.tally.spans.sum));
  text.begin(metrics::kSessionBytes);
  for (const Row& row : rows)
    write(
        text, row.labels, row.counted.tally.sizes, [](std::uint64_t bytes) { return std::to_string(bytes); },
        std::to_string(row.counted.tally.sizes.sum));
}

}  // namespace

std::string expose(const MetricsView& view, const MetricsFacts& facts, Exposition::Format format,
                   bool process) {
  const std::vector<Row> rows = rows_of(view);
  const auto listeners = listeners_of(view);
  const Without without = without_backend(rows, listeners);
  Text text(format);
  write_process_of(text, view, facts);
  write_listeners(text, listeners);
  write_sessions(text, rows, without);
  write_pools(text, view, rows, without);
  write_backends(text, rows);
  text.begin(metrics::kOwnTrouble);
  for (const auto& [kind, count] : facts.own_trouble) text.sample({{"kind", kind}}, count);
  if (process) write_process(text);
  return text.finish();
}

}  // namespace weir
