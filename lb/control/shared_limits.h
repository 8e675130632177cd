#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "lb/control/counts.h"
#include "lb/control/predecessors.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

namespace weir {

/// Counts one kind of sessions that older processes of this Weir still have, so that a limit holds over an
/// upgrade: asks each of them, every kStep, as long as there are any. Until the first answer what the old
/// process said at the hand-over counts; one that does not answer counts as it did last. `Sessions` maps
/// what is counted to its sessions. Control thread only.
template <class Sessions>
class SharedLimit {
 public:
  /// How late a place that becomes free in an older process serves somebody in this one.
  static constexpr Millis kStep{250};
  /// Where answers are long, they take this part of the control thread's time at most.
  static constexpr int kShareOfTime = 20;

  struct Parts {
    std::string name;                            ///< GET /v1/NAME of an older process says how many it has
    std::function<bool()> wanted;                ///< there is a limit
    std::function<void(const Sessions&)> count;  ///< so many there are elsewhere, in all
  };
  SharedLimit(Loop& loop, Predecessors& predecessors, Parts parts);
  /// All the older processes are known.
  void begin() { look(); }
  /// This process has been superseded itself: it goes by what it knows.
  void end() { timer_.stop(); }

 private:
  void look();
  void on_answers(const std::vector<PredecessorAnswer>& answers);

  Loop& loop_;
  Predecessors& predecessors_;
  Parts parts_;
  std::map<pid_t, Sessions> known_;
  std::optional<Sessions> said_;
  Millis step_ = kStep;
  Millis answers_took_{0};  ///< to be read, the last ones
  bool asking_ = false;
  Timer timer_;
};

extern template class SharedLimit<SessionsByBackend>;
extern template class SharedLimit<SessionsByClient>;

/// What an older process answers.
std::string to_json(const SessionsByBackend& sessions);
std::string to_json(const SessionsByClient& sessions);

}  // namespace weir
