#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "lb/balance/table.h"
#include "lb/base/duration.h"

namespace weir {

/// `drain --timeout T --then close --spread S`: ends what a backend still serves when T is over, evenly over
/// S, until nothing is left. Control thread only, no clock and no I/O of its own: time is passed in, `kill`
/// does the deed.
class DrainCloser {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Ends at most `count` sessions of that backend, soon.
  using Kill = std::function<void(const BackendLoad& backend, std::uint64_t count)>;

  static constexpr Millis kStep{50};    ///< between two rounds of a spread
  static constexpr Millis kAgain{200};  ///< between two rounds for what should be gone and is not

  explicit DrainCloser(Kill kill) : kill_(std::move(kill)) {}

  /// Replaces what was planned for that backend.
  void schedule(std::shared_ptr<const BackendLoad> backend, Time begin, Millis spread);
  /// The backend is enabled again: its sessions are left alone.
  void cancel(BackendId backend);
  /// Those to whom new sessions may come by everybody's will: what was planned for them is over.
  void cancel_enabled(const Table& table);
  /// When that backend's sessions begin to be closed; nothing when they are not going to be.
  std::optional<Time> planned(BackendId backend) const;

  /// Does what is due.
  void tick(Time now);
  /// How long until tick() has something to do; nothing = nothing is planned.
  std::optional<Millis> next_step(Time now) const;

 private:
  struct Plan {
    std::shared_ptr<const BackendLoad> backend;
    Time begin;
    Millis spread{0};
    Time next;
    std::optional<std::uint64_t> sessions;  ///< at `begin`; that many are spread
    std::uint64_t asked = 0;
  };
  /// False when nothing is left to do.
  bool advance(Plan& plan, Time now);

  Kill kill_;
  std::vector<Plan> plans_;
};

}  // namespace weir
