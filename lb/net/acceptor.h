#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "lb/base/error.h"
#include "lb/base/fd.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

namespace weir {

/// Accepts from a listening socket, also when the process has no descriptor left: it keeps a few in reserve
/// and gives one up for each connection it could not have accepted. For rare callers (the admin API's);
/// clients have proxy/listener. Loop thread only.
class Acceptor final : private Watcher {
 public:
  /// A non-blocking connection.
  using Accepted = std::function<void(Fd connection)>;

  static constexpr std::size_t kReserve = 2;
  static constexpr int kAtOnce = 16;  ///< connections of one batch of events
  /// How long it does not look after an accept that failed for want of something.
  static constexpr Millis kPause{100};

  static Result<std::unique_ptr<Acceptor>> create(Loop& loop, Fd listening, Accepted accepted);
  ~Acceptor() { stop(); }

  /// Borrowed; -1 after stop().
  int listening() const { return listening_.get(); }
  /// Closes its own descriptors of the socket, whose queue another process may serve.
  void stop();
  /// Accepts all who are in the queue now.
  void serve_out();
  /// Descriptors have come free: what was given up is taken back, and what could not be had.
  void fill_reserve();

 private:
  Acceptor(Loop& loop, Fd listening, Accepted accepted);
  void on_events(std::uint32_t events) override;
  Fd accept_one();
  /// False: nobody is there, or something is short.
  bool accept_next();
  void pause();

  Loop& loop_;
  Fd listening_;
  Accepted accepted_;
  std::vector<Fd> reserve_;  ///< of low numbers: a limit that is lowered later leaves them usable
  Timer pause_;
};

}  // namespace weir
