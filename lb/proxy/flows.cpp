#include "lb/proxy/flows.h"

#include <algorithm>
#include <utility>

#include "lb/proxy/session.h"

namespace weir {

void Flows::watch(Session& session, Way way, std::uint64_t now_ms) {
  if (session.is_watched_flow(way)) return;
  if (flows_.empty()) looked_ms_ = now_ms;
  session.set_watched_flow(way, true);
  flows_.push_back({.session = &session, .way = way, .delivered = session.delivered(way)});
}

void Flows::look(std::uint64_t now_ms) {
  const std::uint64_t passed_ms = now_ms - looked_ms_;
  looked_ms_ = now_ms;
  marked_ = 0;
  std::erase_if(flows_, [&](Flow& flow) {
    if (look_at(flow, passed_ms)) return false;
    flow.session->set_watched_flow(flow.way, false);
    return true;
  });
}

bool Flows::look_at(Flow& flow, std::uint64_t passed_ms) {
  Session& session = *flow.session;
  const std::uint64_t delivered = session.delivered(flow.way);
  const std::uint64_t moved = delivered - std::exchange(flow.delivered, delivered);
  if (session.has_mark(flow.way)) {
    flow.quiet_ms = moved > 0 ? 0 : flow.quiet_ms + passed_ms;
    if (flow.quiet_ms >= kQuietMs) {
      session.unmark(flow.way);
      return false;
    }
    ++marked_;
    return true;
  }
  flow.fast_ms = moved >= kFastBytes * passed_ms ? flow.fast_ms + 1 : 0;
  if (flow.fast_ms < kFastMs) return flow.fast_ms > 0;
  if (!session.mark(flow.way)) return false;
  ++marked_;
  return true;
}

void Flows::forget_ended() {
  if (flows_.empty()) return;
  std::erase_if(flows_, [](const Flow& flow) { return flow.session->over(); });
  marked_ = static_cast<std::size_t>(
      std::ranges::count_if(flows_, [](const Flow& flow) { return flow.session->has_mark(flow.way); }));
}

}  // namespace weir
