#include "lb/observe/history.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace weir {

namespace {

std::uint32_t narrow(std::uint64_t number) {
  // The greatest is kept for what nobody has seen.
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(number, std::numeric_limits<std::uint32_t>::max() - 1));
}

/// The bucket that ends with that time.
std::uint8_t bucket_of(const TimeCounts& counts, double share) {
  const auto time = counts.quantile(share);
  return time ? static_cast<std::uint8_t>(time_buckets::of(*time) - 1) : HistoryStep::kNoTime;
}

void add_to(HistoryStep& step, const HistorySeries::Growth& growth, TimeCounts& connects) {
  step.active = step.seen() ? std::max(step.active, narrow(growth.active)) : narrow(growth.active);
  step.sessions = narrow(step.sessions + growth.sessions);
  step.connect_failures = narrow(step.connect_failures + growth.connect_failures);
  step.backend_resets = narrow(step.backend_resets + growth.backend_resets);
  step.probes_failed = narrow(step.probes_failed + growth.probes_failed);
  step.unserved = narrow(step.unserved + growth.unserved);
  step.bytes_to_backend += growth.bytes_to_backend;
  step.bytes_to_client += growth.bytes_to_client;
  if (growth.connects == nullptr) return;
  connects += *growth.connects;
  step.connect_p50 = bucket_of(connects, 0.5);
  step.connect_p99 = bucket_of(connects, 0.99);
}

/// Makes room for `step`: what lies between it and `last` has not been seen.
template <std::size_t N>
void advance(std::array<HistoryStep, N>& ring, std::uint64_t last, std::uint64_t step, TimeCounts& connects) {
  if (step == last) return;
  for (std::uint64_t n = std::max(last + 1, step - std::min<std::uint64_t>(step, N - 1)); n <= step; ++n)
    ring[n % N] = {};
  connects = {};
}

template <std::size_t N>
std::vector<HistoryStep> list(const std::array<HistoryStep, N>& ring, std::uint64_t first,
                              std::uint64_t last) {
  std::vector<HistoryStep> out;
  out.reserve(N);
  for (std::uint64_t n = std::max(first, last - std::min<std::uint64_t>(last, N - 1)); n <= last; ++n)
    out.push_back(ring[n % N]);
  return out;
}

HistorySeries::Growth growth_of(const History::Sample& before, const History::Sample& now,
                                const TimeCounts* connects) {
  return {.active = now.active,
          .sessions = now.sessions - before.sessions,
          .connect_failures = now.connect_failures - before.connect_failures,
          .backend_resets = now.backend_resets - before.backend_resets,
          .probes_failed = now.probes_failed - before.probes_failed,
          .bytes_to_backend = now.bytes_to_backend - before.bytes_to_backend,
          .bytes_to_client = now.bytes_to_client - before.bytes_to_client,
          .connects = connects};
}

void add_to(HistorySeries::Growth& sum, TimeCounts& connects, const HistorySeries::Growth& one) {
  sum.active += one.active;
  sum.sessions += one.sessions;
  sum.connect_failures += one.connect_failures;
  sum.backend_resets += one.backend_resets;
  sum.probes_failed += one.probes_failed;
  sum.bytes_to_backend += one.bytes_to_backend;
  sum.bytes_to_client += one.bytes_to_client;
  if (one.connects == nullptr) return;
  connects += *one.connects;
  sum.connects = &connects;
}

}  // namespace

void HistorySeries::add(std::uint64_t step, const Growth& growth) {
  if (!begun_) first_ = last_ = step;
  begun_ = true;
  advance(short_, last_, step, short_connects_);
  advance(long_, last_ / kShortInLong, step / kShortInLong, long_connects_);
  last_ = step;
  add_to(short_[step % kShortSteps], growth, short_connects_);
  add_to(long_[step / kShortInLong % kLongSteps], growth, long_connects_);
}

std::vector<HistoryStep> HistorySeries::last_short() const {
  return begun_ ? list(short_, first_, last_) : std::vector<HistoryStep>();
}

std::vector<HistoryStep> HistorySeries::last_long() const {
  return begun_ ? list(long_, first_ / kShortInLong, last_ / kShortInLong) : std::vector<HistoryStep>();
}

void History::look(Steady now, System wall, const std::vector<Sample>& samples, const Unserved& unserved) {
  const bool first = looks_++ == 0;
  wall_ = wall;
  const auto step =
      static_cast<std::uint64_t>(std::max(now - start_, Steady::duration(0)) / HistorySeries::kShortStep);
  HistorySeries::Growth sum;
  TimeCounts sum_connects;
  for (const Sample& sample : samples) {
    auto& known = backends_[sample.id];
    if (known == nullptr) {
      auto before = first ? handed_over_.extract({std::string(sample.pool), std::string(sample.name)})
                          : decltype(handed_over_)::node_type();
      known = before ? std::move(before.mapped()) : std::make_unique<OfBackend>();
      known->pool = sample.pool;
      known->name = sample.name;
      if (first) known->last = sample;
    }
    std::optional<TimeCounts> connects;
    if (sample.connects)
      connects = known->last.connects ? *sample.connects - *known->last.connects : *sample.connects;
    const bool any = connects && connects->total() > 0;
    const auto growth = growth_of(known->last, sample, any ? &*connects : nullptr);
    known->series.add(step, growth);
    known->last = sample;
    known->look = looks_;
    auto& pool = pools_[known->pool];
    const bool fresh = pool == nullptr;
    if (fresh) pool = std::make_unique<OfPool>();
    if (std::exchange(pool->look, looks_) != looks_) {
      const auto found = unserved.find(known->pool);
      const std::uint64_t so_far = found != unserved.end() ? found->second : 0;
      // A pool of that name may have been there before.
      const std::uint64_t before = std::exchange(pool->unserved, so_far);
      pool->growth = {.unserved = first || fresh ? 0 : so_far - before};
      pool->connects = {};
      sum.unserved += pool->growth.unserved;
    }
    add_to(pool->growth, pool->connects, growth);
    add_to(sum, sum_connects, growth);
  }
  handed_over_.clear();
  all_.add(step, sum);
  for (const auto& [name, pool] : pools_)
    if (pool->look == looks_) pool->series.add(step, pool->growth);
  std::erase_if(backends_, [this](const auto& item) { return item.second->look != looks_; });
  std::erase_if(pools_, [this](const auto& item) { return item.second->look != looks_; });
}

const HistorySeries* History::find(std::string_view pool) const {
  const auto found = pools_.find(pool);
  return found != pools_.end() ? &found->second->series : nullptr;
}

const HistorySeries* History::find(std::string_view pool, std::string_view backend) const {
  for (auto item = backends_.rbegin(); item != backends_.rend(); ++item)
    if (item->second->pool == pool && item->second->name == backend) return &item->second->series;
  return nullptr;
}

std::vector<std::pair<std::string_view, const HistorySeries*>> History::pools() const {
  std::vector<std::pair<std::string_view, const HistorySeries*>> out;
  out.reserve(pools_.size());
  for (const auto& [name, pool] : pools_) out.emplace_back(name, &pool->series);
  return out;
}

}  // namespace weir
