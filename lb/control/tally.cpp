// What is counted for metrics: read, added up, and taken over.
#include <algorithm>

#include "lb/control/counts.h"

namespace weir {
namespace {

void add(EndCounts& to, const EndBook& book) {
  book.for_each([&](const EndBook::Page& page) {
    PageCounts& counts = to[page.name];
    for (std::size_t end = 0; end < kEnds; ++end)
      counts.by_end[end] += page.by_end[end].load(std::memory_order_relaxed);
    counts.retries += page.retries.load(std::memory_order_relaxed);
    if (const auto* const waits = page.queue_waits.load(std::memory_order_acquire))
      counts.queue_waits += *waits;
  });
}

void add(TimeCounts& to, const std::atomic<TimeHistogram*>& from) {
  if (const TimeHistogram* const times = from.load(std::memory_order_acquire)) to += *times;
}

void add(Tally& to, const WorkerTotals& from) {
  add(to.ends, from.ends);
  add(to.connects, from.connect_times);
  add(to.first_bytes, from.first_byte_times);
  if (const auto* const ended = from.ended.load(std::memory_order_acquire)) {
    to.spans += ended->spans;
    to.sizes += ended->sizes;
  }
}

void add(Tally& to, const BackendLoad::Probes& from) {
  to.probes_passed += from.passed.load(std::memory_order_relaxed);
  to.probes_failed += from.failed.load(std::memory_order_relaxed);
  add(to.probes, from.times);
}

/// Of a histogram that this thread writes.
template <class Histogram, class Counts>
void count_into(Histogram& to, const Counts& counts) {
  for (std::size_t i = 0; i < counts.counts.size(); ++i) to.add(i, counts.counts[i], 0);
  to.add(0, 0, counts.sum);
}

void count_into(std::atomic<TimeHistogram*>& to, const TimeCounts& counts) {
  if (counts != TimeCounts()) count_into(WorkerTotals::made(to), counts);
}

void count_into(EndBook& book, const EndCounts& counts) {
  for (const auto& [name, one] : counts) {
    EndBook::Page& page = book.page(name);
    for (std::size_t end = 0; end < kEnds; ++end) WorkerTotals::add(page.by_end[end], one.by_end[end]);
    WorkerTotals::add(page.retries, one.retries);
    count_into(page.queue_waits, one.queue_waits);
  }
}

EndCounts& add(EndCounts& to, const EndCounts& other) {
  for (const auto& [name, counts] : other) to[name] += counts;
  return to;
}
void subtract(EndCounts& from, const EndCounts& other) {
  for (const auto& [name, counts] : other) from[name] -= counts;
  std::erase_if(from, [](const auto& item) { return item.second == PageCounts(); });
}

}  // namespace

PageCounts& PageCounts::operator+=(const PageCounts& other) {
  for (std::size_t end = 0; end < kEnds; ++end) by_end[end] += other.by_end[end];
  retries += other.retries;
  queue_waits += other.queue_waits;
  return *this;
}

PageCounts& PageCounts::operator-=(const PageCounts& other) {
  for (std::size_t end = 0; end < kEnds; ++end) by_end[end] -= other.by_end[end];
  retries -= other.retries;
  queue_waits = queue_waits - other.queue_waits;
  return *this;
}

Tally& Tally::operator+=(const Tally& other) {
  add(ends, other.ends);
  connects += other.connects;
  first_bytes += other.first_bytes;
  probes += other.probes;
  probes_passed += other.probes_passed;
  probes_failed += other.probes_failed;
  spans += other.spans;
  sizes += other.sizes;
  return *this;
}

Tally& Tally::operator-=(const Tally& other) {
  subtract(ends, other.ends);
  connects = connects - other.connects;
  first_bytes = first_bytes - other.first_bytes;
  probes = probes - other.probes;
  probes_passed -= other.probes_passed;
  probes_failed -= other.probes_failed;
  spans = spans - other.spans;
  sizes = sizes - other.sizes;
  return *this;
}

ListenerTally& ListenerTally::operator+=(const ListenerTally& other) {
  for (std::size_t end = 0; end < kEnds; ++end) turned_away[end] += other.turned_away[end];
  add(unserved, other.unserved);
  return *this;
}

ListenerTally& ListenerTally::operator-=(const ListenerTally& other) {
  for (std::size_t end = 0; end < kEnds; ++end) turned_away[end] -= other.turned_away[end];
  subtract(unserved, other.unserved);
  return *this;
}

Tally tally_of(const BackendLoad& load) {
  Tally out;
  for (const WorkerTotals& worker : load.per_worker) add(out, worker);
  add(out, load.elsewhere);
  add(out, load.probes);
  add(out, load.probes_elsewhere);
  return out;
}

ListenerTally tally_of(const ListenerLoad& load) {
  ListenerTally out;
  for (std::size_t end = 0; end < kEnds; ++end)
    out.turned_away[end] = load.turned_away_as(static_cast<End>(end));
  for (const auto& worker : load.unserved) add(out.unserved, worker.ends);
  add(out.unserved, load.unserved_elsewhere);
  return out;
}

void count_elsewhere(BackendLoad& load, const Tally& tally) {
  count_into(load.elsewhere.ends, tally.ends);
  count_into(load.elsewhere.connect_times, tally.connects);
  count_into(load.elsewhere.first_byte_times, tally.first_bytes);
  if (tally.spans != AmountCounts<SpanBuckets>() || tally.sizes != AmountCounts<SizeBuckets>()) {
    WorkerTotals::Ended& ended = load.elsewhere.make_ended();
    count_into(ended.spans, tally.spans);
    count_into(ended.sizes, tally.sizes);
  }
  WorkerTotals::add(load.probes_elsewhere.passed, tally.probes_passed);
  WorkerTotals::add(load.probes_elsewhere.failed, tally.probes_failed);
  count_into(load.probes_elsewhere.times, tally.probes);
}

void count_elsewhere(ListenerLoad& load, const ListenerTally& tally) {
  for (std::size_t end = 0; end < kEnds; ++end)
    WorkerTotals::add(load.turned_away_elsewhere.by_end[end], tally.turned_away[end]);
  count_into(load.unserved_elsewhere, tally.unserved);
}

}  // namespace weir
