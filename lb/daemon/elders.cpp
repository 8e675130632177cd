// Older processes of this Weir at a start that is no upgrade.
#include <fmt/format.h>

#include <utility>

#include "lb/daemon/daemon.h"

namespace weir {

void Daemon::find_elders() {
  // An upgrade hands them over.
  if (origin_.inheritance) {
    elders_known_ = true;
    return;
  }
  elder_search_.begin(registry_.config()->admin.socket,
                      [this](std::vector<Predecessor> found) { on_elders_found(std::move(found)); });
}

void Daemon::on_elders_found(std::vector<Predecessor> found) {
  elders_known_ = true;
  for (Predecessor& elder : found) {
    tell(Event::Kind::Process,
         fmt::format("process {}, left behind by an earlier upgrade, still serves its sessions", elder.pid));
    predecessors_.add(std::move(elder));
  }
  // Clients may have been let in by now, who do not wait for longer than the start's patience.
  if (open_ && !shutting_down_) open_admin_api();
  if (predecessors_.list().empty()) return;
  elders_uncounted_ = 2;
  const auto counted = [this] {
    --elders_uncounted_;
    open_if_ready();
  };
  shared_backend_limits_.begin_unknowing(counted);
  shared_client_limits_.begin_unknowing(counted);
}

}  // namespace weir
