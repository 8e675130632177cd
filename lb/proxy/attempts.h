#pragma once

#include <cstdint>
#include <optional>
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
///
/// A backend that is silent for hedge_after gets a hedge, once for each session: an attempt like others, that
/// goes on beside the first. Whichever accepts has the session, and nothing is held against the other; when
/// the first one has failed at all its addresses before, the hedge is the attempt.
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
  /// The hedge's connect, which is under way, is the attempt now.
  struct GoOn {
    std::uint64_t until_ms;
  };
  using Next = std::variant<Try, Wait, GiveUp, GoOn>;

  /// What to do now. `pool` may be another version than the last time; null when there is none.
  Next next(const Pool* pool, const ClientAddress& client, std::uint64_t now_ms);

  /// The last Try came to nothing.
  void failed(ConnectFault fault);
  /// The backend accepted and ended before anything had passed: it has failed like one that refuses.
  void ended_at_once();
  /// The backend of the last Try has no room: another was faster. It has not been tried.
  void was_full();

  /// Of a Try that is under way: the same of another backend beside it, which is not on trial. Nothing: there
  /// has been one, the attempts are used up, others wait for a place, or there is nobody.
  std::optional<Try> hedge(const Pool& pool, const ClientAddress& client, std::uint64_t now_ms);
  /// Its last Try has come to nothing. What it tries next; nothing: it is out.
  std::optional<Try> next_of_hedge(const Pool* pool, ConnectFault fault, std::uint64_t now_ms);
  /// It is out, or was never begun. Answers whether its backend is at fault.
  bool drop_hedge();
  bool had_hedge() const { return had_hedge_; }
  /// The first one has accepted.
  void hedge_lost() { hedge_ = {}; }
  /// It has accepted, and has the session.
  void hedge_won() { trying_ = std::exchange(hedge_, {}); }

  /// The wait is over, since what was waited for may be there: next() tries again. `first_in_queue`: it was
  /// for room, and this session is the one to take it.
  void resume(bool first_in_queue) {
    trying_.waiting = false;
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
  /// A backend while it is tried, one address after another.
  struct Trying {
    BackendId id = 0;  ///< 0: nobody is
    std::uint32_t address = 0;
    std::uint64_t give_up_ms = 0;
    WaitFor why = WaitFor::Descriptor;
    bool waiting = false;   ///< because of `why`
    bool blamed = false;    ///< an address of it has failed
    bool portless = false;  ///< no source port was left for one of them

    void failed(ConnectFault fault);
    Try at(const Backend& backend, std::uint64_t now_ms) const;
  };
  /// Null when it has had its time or all its addresses, or may not serve any more.
  static const Backend* find(const Trying& trying, const Pool& pool, std::uint64_t now_ms);
  /// Answers whether it is at fault.
  bool leave(Trying& trying);
  Choice choose(const Pool& pool, const ClientAddress& client, std::uint64_t now_ms);
  Next wait_or_give_up(const Pool& pool, bool verdict_to_come, std::uint64_t now_ms);
  Next wait_for_room(const Pool& pool, std::uint64_t now_ms);

  std::vector<BackendId> tried_;
  std::vector<BackendId> portless_;  ///< passed over for want of a source port
  std::vector<BackendId> full_;      ///< had no room when they were taken; until the next wait
  Trying trying_;
  Trying hedge_;
  std::uint64_t wait_until_ms_ = 0;   ///< of waits that concern no current backend; 0 = none yet
  std::uint64_t queue_until_ms_ = 0;  ///< of waits for room; 0 = none yet
  std::uint16_t count_ = 0;
  bool had_hedge_ = false;
  bool to_blame_ = false;
  bool first_in_queue_ = false;
  bool particular_ = false;
};

}  // namespace weir
