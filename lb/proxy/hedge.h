#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "lb/balance/backend.h"
#include "lb/base/fd.h"
#include "lb/net/loop.h"
#include "lb/proxy/loop_guard.h"
#include "lb/proxy/source.h"

namespace weir {

class Session;

/// One connect to a backend that is under way, or has succeeded at once.
struct Connection {
  Fd fd;  ///< watched
  Source kind = Source::Tcp;
  std::optional<LoopGuard::Slot> shown;  ///< to the LoopGuard
  std::uint16_t port = 0;                ///< of the backend; 0 for a unix path
  std::chrono::nanoseconds began{0};     ///< by the loop's clock
  bool connected = false;
};

/// A session's second connect beside its first one, to another backend at which it has a place. Takes one
/// descriptor of the ledger beyond the session's two, which its session gives back (Session,
/// "session_hedge"). The worker disposes of it after the batch in which it ended, as of a Session.
class Hedge final : public Watcher {
 public:
  Hedge(Session& session, Lease lease) : session_(&session), lease_(std::move(lease)) {}

  void on_events(std::uint32_t seen) override;

  /// It is over, or has become the session's own connect: its events concern nobody.
  void detach() { session_ = nullptr; }
  Lease& lease() { return lease_; }

  Connection connection;
  std::uint64_t until_ms = 0;  ///< of the address that is tried

 private:
  Session* session_;
  Lease lease_;
};

}  // namespace weir
