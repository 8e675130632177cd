#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lb/balance/table.h"
#include "lb/control/counts.h"
#include "lb/control/predecessors.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

namespace weir {

/// What one process has of what is limited. `Sessions` maps what is counted to its sessions.
template <class Sessions>
struct Share {
  Sessions sessions;
  Sessions claims = {};   ///< claims_of()
  bool may_wait = false;  ///< some session there may yet have to wait for a place
};

/// Counts one kind of sessions that older processes of this Weir still have, so that a limit holds over an
/// upgrade: asks each of them, every kStep, as long as there are any. Until the first answer what the old
/// process said at the hand-over counts; one that does not answer counts as it did last. The newest process
/// alone asks: those in which somebody may wait for a place are told by it how many all others have, so that
/// he gets what becomes free anywhere. A place that is wanted in several goes to the oldest of them, whose
/// sessions have waited longest. Control thread only.
template <class Sessions>
class SharedLimit {
 public:
  /// How late a place that becomes free in one process serves somebody in another.
  static constexpr Millis kStep{250};
  /// Where answers are long, they take this part of the control thread's time at most.
  static constexpr int kShareOfTime = 20;

  struct Parts {
    std::string name;              ///< GET /v1/NAME of an older process says how many it has
    std::function<bool()> wanted;  ///< there is a limit
    /// So many there are elsewhere, in all, with the places that are left to older processes.
    std::function<void(const Sessions&)> count;
    /// How many this process has; null: nobody waits for these, and older processes are told nothing.
    std::function<Sessions()> own = nullptr;
  };
  SharedLimit(Loop& loop, Predecessors& predecessors, Parts parts);
  /// All the older processes are known.
  void begin() { look(); }
  /// The same where no hand-over has said how many there are: whoever answers counts from then on. Calls back
  /// once: when all have answered or have had their time, or at once where there is no limit.
  void begin_unknowing(std::function<void()> counted);
  /// This process has been superseded itself: another one asks, and tells it.
  void end();

 private:
  void look();
  /// Somebody is interested in the answers: this process, or an older one.
  bool is_wanted() const;
  void on_answers(const std::vector<PredecessorAnswer>& answers);
  /// Takes what is known of all; nothing is as long as one of them has yet to answer.
  void count();
  void tell_older_ones() const;

  Loop& loop_;
  Predecessors& predecessors_;
  Parts parts_;
  std::map<pid_t, Share<Sessions>> known_;
  std::optional<Sessions> said_;
  Millis step_ = kStep;
  Millis answers_took_{0};  ///< to be read, the last ones
  bool asking_ = false;
  bool ended_ = false;
  bool unknowing_ = false;
  std::function<void()> counted_ = nullptr;
  Timer timer_;
};

extern template class SharedLimit<SessionsByBackend>;
extern template class SharedLimit<SessionsByClient>;

/// Places that sessions which wait in this process take as soon as these are free, at each backend that can
/// be full and that they may get: whoever has come later, in newer processes, leaves them to these. None when
/// all who wait do so for one backend rather than another. Any thread.
SessionsByBackend claims_of(const Table& table);

/// What an older process answers, and what it is told.
std::string to_json(const Share<SessionsByBackend>& share);
std::string to_json(const SessionsByClient& sessions);
/// Nothing: it is none.
std::optional<Share<SessionsByBackend>> parse_backend_share(const std::string& text);

}  // namespace weir
