#pragma once

#include <string>
#include <vector>

#include "lb/control/http_server.h"

namespace weir {

/// What an older process answered; no body when it did not.
struct PredecessorAnswer {
  int pid = 0;     ///< 0 = the process has turned out to be gone
  int status = 0;  ///< 0 = no answer
  std::string body;
};

/// One answer out of this process's and those of older processes. Pure.
///
/// Sums counters; what only an older process still has is shown as removed, while it has sessions.
HttpResponse merge_status(const HttpResponse& own, const std::vector<PredecessorAnswer>& others);
/// Their sessions' ids become "PID.ID".
HttpResponse merge_sessions(const HttpResponse& own, const std::vector<PredecessorAnswer>& others);
/// Of several processes a client's sessions together, the most first; `limit`: so many clients at most, "" =
/// all.
HttpResponse merge_clients(const HttpResponse& own, const std::vector<PredecessorAnswer>& others,
                           const std::string& limit);
HttpResponse merge_killed(const HttpResponse& own, const std::vector<PredecessorAnswer>& others);
/// Of drain, disable and enable: the sessions of all.
HttpResponse merge_changes(const HttpResponse& own, const std::vector<PredecessorAnswer>& others);
/// Of those who wait for a drain's end. A process that says nothing of its sessions may have some: its id is
/// in "unheard".
HttpResponse merge_drains(const HttpResponse& own, const std::vector<PredecessorAnswer>& others);
/// `merged`, with those in "unheard" that have not answered, and a warning for each.
HttpResponse naming_unheard(HttpResponse merged, const std::vector<PredecessorAnswer>& others);
HttpResponse merge_stops(const HttpResponse& own, const std::vector<PredecessorAnswer>& others);

}  // namespace weir
