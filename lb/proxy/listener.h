#pragma once

#include <cstdint>

#include "lb/balance/listener_load.h"
#include "lb/balance/table.h"
#include "lb/base/fd.h"
#include "lb/net/loop.h"

namespace weir {

class Worker;

/// One worker's socket of one listener's address: accepts, a bounded number a turn, and starts sessions.
/// Pauses at a limit or without descriptors: clients then wait in the kernel's queue. Lives on its worker's
/// thread until its last session has ended.
class Listener final : private Watcher {
 public:
  /// `shared`: other workers hold the same socket (unix paths); then the kernel wakes one of them.
  Listener(Worker& worker, std::uint32_t id, ListenerLoad& load, Fd fd, bool shared);

  /// Begins to accept; retried shortly where the kernel has no room for it.
  void open();
  /// Accepts on, or goes on closing, after a pause.
  void resume();
  /// Serves whoever is in the kernel's queue, beyond the limits if need be, and closes the socket: now, or
  /// when there are descriptors for them. Existing sessions go on.
  void close();
  /// Closes the socket and leaves its queue to the process that holds it too. Existing sessions go on.
  void leave();

  /// Gives the socket up to another Listener of this worker, without closing it.
  [[nodiscard]] Fd release();

  std::uint32_t id() const { return id_; }
  bool is_shared() const { return shared_; }
  int fd() const { return fd_.get(); }
  bool is_open() const { return static_cast<bool>(fd_); }
  bool is_closing() const { return closing_; }
  ListenerLoad& load() const { return load_; }
  /// The pool it feeds, of the worker's current Table; null when there is none of that name.
  const Pool* pool() const { return pool_; }
  void set_pool(const Pool* pool) { pool_ = pool; }

  std::uint32_t sessions = 0;  ///< alive on this worker

 private:
  enum class Accepted : std::uint8_t {
    One,
    NoneWaiting,
    Blocked,  ///< by a limit or a shortage, which pass
    Failed
  };
  enum class Limits : std::uint8_t { Kept, Passed };

  void on_events(std::uint32_t seen) override;
  bool enter_gate();
  Accepted accept_one(Limits limits = Limits::Kept);
  void pause();
  std::uint32_t interest() const;

  Worker& worker_;
  const std::uint32_t id_;  ///< of the socket; the same for every worker and through move_listener()
  ListenerLoad& load_;
  Fd fd_;
  const Pool* pool_ = nullptr;
  std::uint64_t last_turn_ = 0;   ///< the worker's turn of the last wake-up
  std::uint32_t last_burst_ = 0;  ///< accepts of it
  const bool shared_;
  bool paused_ = false;
  bool closing_ = false;
  std::uint32_t accepts_of_close_ = 0;
};

}  // namespace weir
