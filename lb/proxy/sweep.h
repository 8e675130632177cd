#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "lb/proxy/session_list.h"

namespace weir {

class Session;

/// Does things with each of a worker's sessions in bounded steps of a turn: no loop over all of them makes
/// the others wait. One sweep after another. The worker's thread only.
class Sweeper {
 public:
  /// Visits that a turn has room for: some 50 µs of looking.
  static constexpr std::size_t kVisitsPerTurn = 1024;
  /// An ended session costs its turn two closes and a log record, some 10 µs: as many as a turn of accepts.
  static constexpr std::size_t kActsPerTurn = 32;

  /// True when it did something with it that costs: ended it, or described it.
  using Visit = std::function<bool(Session&)>;
  using Done = std::function<void()>;

  /// Every session that is in the list and has a number below `end_number`: whoever comes after the sweep has
  /// begun is not visited, and cannot make it endless.
  void begin(SessionList& sessions, std::uint64_t end_number, Visit visit, Done done);
  bool busy() const { return !sweeps_.empty(); }
  /// Nobody is told: the worker goes.
  void abandon();
  /// Visits some.
  void step(SessionList& sessions);
  /// Says of the sweeps that have come to their end that they are done. After what they ended has been
  /// disposed of.
  void say_done() {
    if (!finished_.empty()) say_all_done();
  }

 private:
  void say_all_done();

  struct Sweep {
    std::uint64_t end_number;
    Visit visit;
    Done done;
  };
  std::deque<Sweep> sweeps_;
  std::vector<Done> finished_;
  ListPlace place_;  ///< of the first sweep: behind the session visited last; unlinked before it has begun
};

}  // namespace weir
