#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "lb/balance/table.h"
#include "lb/proxy/admission.h"
#include "lb/proxy/wait_list.h"

namespace weir {

class Session;

/// One worker's sessions that wait, before their backend has accepted. Those that wait for something of which
/// there may be too little for all stand in the WaitList and are summoned one by one; those that wait for a
/// first verdict are all served when one has come. The worker's thread only; borrows the sessions, which
/// leave before they end.
class WaitingRoom {
 public:
  /// Sessions served in one turn after a verdict.
  static constexpr std::size_t kServedPerTurn = 32;

  /// `list` is set before the worker runs.
  WaitingRoom(std::uint32_t worker, Admission& admission, WaitList* const& list)
      : worker_(worker), admission_(admission), list_(list) {}

  /// It waits for this now; once it was summoned for it: its try has failed. `load` is the backend's of the
  /// key, null when it names none: newcomers see that somebody waits.
  void enter(Session& session, WaitKey key, std::shared_ptr<BackendLoad> load);
  /// The same for room in the pool. `particular`: not every backend will do, for it has tried some. Yes: once
  /// it was summoned, its try has failed.
  PoolLoad::Joined join_queue(Session& session, const Pool& pool, bool particular);
  /// It waits no more: it goes on, or ends. No-op when it does not wait.
  void leave(Session& session);
  /// Nobody waits for a port or a place towards this backend, or it is this session's turn.
  bool may_try(const Session& session, const BackendLoad& load) const;

  /// From the WaitList: its turn has come.
  void summon(const WaitQueue::Call& call);
  /// Something that is counted by backend has become free.
  void freed(const BackendLoad& load);

  /// The pools have changed: whoever waits for a verdict, or for a backend that its pool has no more, looks
  /// again, the first of them first.
  void pools_changed();
  /// Lets some of them look. True when there are more.
  bool step();

 private:
  struct Entry {
    Session* session;
    WaitKey key;
    std::shared_ptr<BackendLoad> load;
    std::shared_ptr<PoolLoad> queue;
    bool particular = false;
    bool summoned = false;
  };
  /// It waits for that already; when it was summoned for it, its try has failed.
  bool goes_on_waiting(const Session& session, WaitKey key, bool particular = false);
  /// What it waits for will not come where it waits.
  static bool is_orphan(const Entry& entry);
  void announce(const Entry& entry, bool begins);
  Waiter waiter(const Session& session) const;

  const std::uint32_t worker_;
  Admission& admission_;
  WaitList* const& list_;
  std::unordered_map<std::uint64_t, Entry>
      waiting_;                                    // by the session's number; without those of the next one
  std::map<std::uint64_t, Session*> for_verdict_;  // by the session's number, in the order of the accepts
  std::uint64_t looking_from_ = UINT64_MAX;        ///< the first of for_verdict_ that has still to look
  std::vector<std::uint64_t> orphans_;  ///< of waiting_, have still to look; the first one at the end
};

}  // namespace weir
