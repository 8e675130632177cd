#include "lb/control/history_keeper.h"

#include <chrono>
#include <utility>

namespace weir {

HistoryKeeper::HistoryKeeper(Loop& loop, const Registry& registry)
    : registry_(registry), timer_(loop, [this] { look(); }) {}

void HistoryKeeper::keep(bool wanted, std::string_view handed_over) {
  if (wanted == (history_ != nullptr)) return;
  timer_.stop();
  history_.reset();
  if (!wanted) return;
  const auto now = std::chrono::steady_clock::now();
  auto before = History::from_bytes(handed_over, now);
  history_ = std::make_unique<History>(before ? std::move(*before) : History(now));
  look();
}

void HistoryKeeper::look() {
  registry_.look(*history_);
  timer_.start(HistorySeries::kShortStep);
}

}  // namespace weir
