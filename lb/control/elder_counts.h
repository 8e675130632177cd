#pragma once

#include <sys/types.h>

#include <functional>
#include <map>

#include "lb/control/counts.h"
#include "lb/control/predecessors.h"
#include "lb/control/registry.h"

namespace weir {

/// What older processes of this Weir have counted since another took over from them, and count on: asked for
/// at each scrape, so that sessions which they have kept are in it while they last. What one has said last
/// counts until it answers again, and for good when it has gone without its last word: no counter goes back.
/// Control thread only.
class ElderCounts {
 public:
  /// Hears of who leaves the list: one at a time for a Predecessors.
  ElderCounts(Predecessors& predecessors, Registry& registry);

  /// Calls back once with the sum of all, at once when there is nobody to be asked.
  void ask(std::function<void(const Counts& all)> done);

 private:
  void take(const std::vector<PredecessorAnswer>& answers);
  void on_leave(pid_t pid, bool said_all);
  Counts sum() const;

  Predecessors& predecessors_;
  Registry& registry_;
  std::map<pid_t, Counts> last_;
};

}  // namespace weir
