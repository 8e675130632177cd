// What is remembered of how busy all have been.
#include <vector>

#include "lb/control/registry_state.h"
#include "lb/observe/history.h"

namespace weir {

namespace {

std::uint64_t ended(const EndBook::Page& page, End how) {
  return page.by_end[static_cast<std::size_t>(how)].load(std::memory_order_relaxed);
}

History::Sample sample_of(const BackendLoad& load) {
  History::Sample out;
  out.id = load.id;
  out.pool = load.pool;
  out.name = load.name;
  out.active = load.active.load(std::memory_order_relaxed);
  bool timed = false;
  for (const WorkerTotals& worker : load.per_worker) {
    out.sessions += worker.sessions.load(std::memory_order_relaxed);
    out.connect_failures += worker.connect_failures.load(std::memory_order_relaxed);
    out.bytes_to_backend += worker.bytes_to_backend.load(std::memory_order_relaxed);
    out.bytes_to_client += worker.bytes_to_client.load(std::memory_order_relaxed);
    timed |= worker.connect_times.load(std::memory_order_relaxed) != nullptr;
    worker.ends.for_each(
        [&](const EndBook::Page& page) { out.backend_resets += ended(page, End::BackendReset); });
  }
  out.probes_failed = load.probes.failed.load(std::memory_order_relaxed);
  // Of thousands of backends most are idle.
  if (timed) out.connects = load.connect_times();
  return out;
}

/// Keys are borrowed.
History::Unserved unserved_of(const ListenerLoads& loads) {
  History::Unserved out;
  for (const auto& [key, load] : loads.all())
    for (const auto& worker : load->unserved)
      worker.ends.for_each([&](const EndBook::Page& page) {
        for (const End how : {End::NoBackend, End::Overloaded, End::ConnectFailed})
          out[page.name] += ended(page, how);
      });
  return out;
}

}  // namespace

void Registry::look(History& history) const {
  const auto& s = *state_;
  std::vector<History::Sample> samples;
  for (const auto& pool : s.members.pools)
    for (const auto& entry : pool.entries) samples.push_back(sample_of(*entry.load));
  for (const auto& [id, leaver] : s.leavers.all()) samples.push_back(sample_of(*leaver.last.load));
  history.look(s.clock.steady(), s.clock.system(), samples, unserved_of(s.listener_loads));
}

}  // namespace weir
