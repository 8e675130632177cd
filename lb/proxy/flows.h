#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lb/proxy/relay.h"

namespace weir {

class Session;

/// The bulk flows of one worker that are fast. Of these the kernel is to wake the worker for larger pieces
/// only (SO_RCVLOWAT): it is woken a fraction as often, and moves more at once. A mark that stayed while a
/// flow has ended in the middle of a piece would keep its tail from the other side, so a flow that has
/// brought nothing for kQuietMs has its mark taken away, and while there is any the worker sleeps for a
/// millisecond at most. The worker's thread only.
class Flows {
 public:
  /// In each of kFastMs milliseconds, to get a mark: what is waited for is there within one.
  static constexpr std::uint64_t kFastBytes = Pump::kMarkBytes;
  static constexpr std::uint32_t kFastMs = 2;
  static constexpr std::uint64_t kQuietMs = 2;
  /// In one run of a pump: worth being looked at.
  static constexpr std::uint64_t kRunBytes = 32 * 1024;

  /// That way of a session is bulk, and has just moved kRunBytes. No-op when it is known.
  void watch(Session& session, Way way, std::uint64_t now_ms);
  /// Once a turn: looks at them when a millisecond has passed.
  void tick(std::uint64_t now_ms) {
    if (!flows_.empty() && now_ms != looked_ms_) look(now_ms);
  }
  /// Some have a mark.
  bool any_marked() const { return marked_ > 0; }
  /// Sessions that are over are about to go.
  void forget_ended();

 private:
  struct Flow {
    Session* session;
    Way way;
    std::uint32_t fast_ms = 0;
    std::uint64_t quiet_ms = 0;
    std::uint64_t delivered = 0;  ///< when it was looked at last
  };
  void look(std::uint64_t now_ms);
  /// False: it is not to be looked at any more.
  bool look_at(Flow& flow, std::uint64_t passed_ms);

  std::vector<Flow> flows_;
  std::size_t marked_ = 0;  ///< as they were when they were looked at last
  std::uint64_t looked_ms_ = 0;
};

}  // namespace weir
