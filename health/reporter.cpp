#include "health/reporter.h"

#include <algorithm>

namespace weir {
namespace {

constexpr Millis kPause{250};
constexpr std::size_t kRefreshesPerFlush = Reporter::kRefreshesPerSecond / (1000 / kPause.count());

}  // namespace

Reporter::Reporter(ProbeLoop& loop, std::function<void(HealthReport)> report)
    : loop_(loop), report_(std::move(report)), alarm_(loop, [this] { flush(); }) {}

void Reporter::transition(BackendId id, Health health, std::string reason, bool on_trial) {
  forget(id);
  report_({.id = id, .health = health, .reason = std::move(reason), .on_trial = on_trial});
}

void Reporter::refresh(BackendId id, Health health, std::string reason, std::uint32_t against) {
  HealthReport report{
      .id = id, .health = health, .reason = std::move(reason), .against = against, .transition = false};
  if (waiting_.insert_or_assign(id, std::move(report)).second) order_.push_back(id);
  if (!alarm_.is_set()) alarm_.set(std::max(loop_.now(), next_flush_));
}

void Reporter::forget(BackendId id) {
  if (waiting_.erase(id) > 0) std::erase(order_, id);
}

void Reporter::flush() {
  for (std::size_t n = 0; n < kRefreshesPerFlush && !order_.empty(); ++n) {
    const auto report = waiting_.extract(order_.front());
    order_.pop_front();
    report_(report.mapped());
  }
  next_flush_ = loop_.now() + kPause;
  if (!order_.empty()) alarm_.set(next_flush_);
}

}  // namespace weir
