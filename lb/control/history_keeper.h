#pragma once

#include <memory>
#include <string_view>

#include "lb/control/registry.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"
#include "lb/observe/history.h"

namespace weir {

/// Looks at all backends every HistorySeries::kShortStep, as long as somebody may ask for their history.
/// Control thread only. `loop` and `registry` are borrowed.
class HistoryKeeper {
 public:
  HistoryKeeper(Loop& loop, const Registry& registry);

  /// No: what there is is forgotten, and nothing is allocated any more. Idempotent. `handed_over`: by an
  /// older process, History::to_bytes(); "" or another form = it begins now.
  void keep(bool wanted, std::string_view handed_over = "");
  /// Null: nothing is kept.
  const History* kept() const { return history_.get(); }

 private:
  void look();

  const Registry& registry_;
  Timer timer_;
  std::unique_ptr<History> history_;
};

}  // namespace weir
