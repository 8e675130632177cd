#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "lb/balance/table.h"
#include "lb/base/state.h"
#include "lb/net/socket.h"
#include "lb/proxy/wait_queue.h"

namespace weir {

/// Which backend one session tries next, at which of its addresses and for how long; when it waits, and for
/// what; when it gives up. Pure but for the pool's pick: told of the time and of what became of each try, it
/// holds no socket and no count of sessions.
///
/// connect_timeout counts for a backend, whatever the number of its addresses: each gets an even share of
/// what is left, so that a silent one does not hide the others. What is Weir's own trouble is never held
/// against a backend; it waits for the trouble to pass, for as long as a connect may take. A backend for
/// which no source port is left is passed over, and waited for only when nobody else is left. Where all who
/// could serve are full it queues, for queue_timeout in all, behind those who do already.
class Attempts {
 public:
  struct Try {
    const Backend* backend;
    const Address* address;
    std::uint64_t until_ms;
  };
  struct Wait {
    WaitKey key;
    std::uint64_t until_ms;
  };
  struct GiveUp {
    End how;  ///< NoBackend, ConnectFailed or Overloaded
  };
  using Next = std::variant<Try, Wait, GiveUp>;

  /// What to do now. `pool` may be another version than the last time; null when there is none.
  Next next(const Pool* pool, const ClientAddress& client, std::uint64_t now_ms);

  /// The last Try came to nothing.
  void failed(ConnectFault fault);
  /// The backend accepted and ended before anything had passed: it has failed like one that refuses.
  void ended_at_once();
  /// The backend of the last Try has no room: another was faster. It has not been tried.
  void was_full();
  /// The wait is over, since what was waited for may be there: next() tries again. `first_in_queue`: it was
  /// for room, and this session is the one to take it.
  void resume(bool first_in_queue) {
    waiting_ = false;
    first_in_queue_ = first_in_queue;
  }

  /// Of the backend tried last, once next() has gone on to another or given up: it is at fault.
  bool take_blame() { return std::exchange(to_blame_, false); }
  /// Backends on which a connect was tried.
  std::uint16_t count() const { return count_; }
  const std::vector<BackendId>& tried() const { return tried_; }
  /// Of a wait for room: not every backend will do.
  bool is_particular() const { return particular_; }

 private:
  /// The backend tried last, while it may still serve; null when it has had its time or all its addresses.
  const Backend* current(const Pool& pool, std::uint64_t now_ms) const;
  void leave_current();
  Next wait_or_give_up(const Pool& pool, bool verdict_to_come, std::uint64_t now_ms);
  Next wait_for_room(const Pool& pool, std::uint64_t now_ms);

  std::vector<BackendId> tried_;
  std::vector<BackendId> portless_;  ///< passed over for want of a source port
  std::vector<BackendId> full_;      ///< had no room when they were taken; until the next wait
  BackendId current_ = 0;
  std::uint32_t address_ = 0;         ///< of the current backend
  std::uint64_t give_up_ms_ = 0;      ///< of the current backend
  std::uint64_t wait_until_ms_ = 0;   ///< of waits that concern no current backend; 0 = none yet
  std::uint64_t queue_until_ms_ = 0;  ///< of waits for room; 0 = none yet
  std::uint16_t count_ = 0;
  WaitFor why_ = WaitFor::Descriptor;
  bool waiting_ = false;           ///< for the current backend, because of `why_`
  bool blamed_ = false;            ///< an address of the current backend has failed
  bool portless_address_ = false;  ///< no source port was left for one of them
  bool to_blame_ = false;
  bool first_in_queue_ = false;
  bool particular_ = false;
};

}  // namespace weir
