#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "lb/admit/doorway.h"
#include "lb/balance/listener_load.h"
#include "lb/balance/table.h"
#include "lb/base/fd.h"
#include "lb/net/loop.h"
#include "lb/proxy/admission.h"

namespace weir {

class Worker;

/// One worker's socket of one listener's address: accepts, a bounded number a turn, and starts sessions.
/// Pauses at a limit or without descriptors: clients then wait in the kernel's queue. Owns the version of its
/// pool that its sessions are served by: no order of messages leaves it without one. Lives on its worker's
/// thread until its last session has ended.
class Listener final : private Watcher {
 public:
  /// `shared`: other workers hold the same socket (unix paths); then the kernel wakes one of them. `pool` may
  /// be null: there is none of that name yet.
  Listener(Worker& worker, std::uint32_t id, ListenerLoad& load, Fd fd, bool shared,
           std::shared_ptr<const Pool> pool);

  /// Begins to accept; retried shortly where the kernel has no room for it.
  void open();
  /// Accepts on after a pause.
  void resume();
  /// From now on nobody new comes into the kernel's queue, as far as the kernel lets us say so; whoever is in
  /// it is served, a bounded number a turn, beyond the limits if need be; then the Worker is asked whether
  /// the socket may be closed (it may have been taken back). Existing sessions go on.
  void close();
  /// The same, and then the kernel refuses whoever comes, until it is taken back: the socket stays. No-op
  /// while it closes for good.
  void set_shut(bool shut);
  /// A step of the close, while there is one to take.
  void close_step();
  bool has_work() const { return closing_ && !blocked_; }
  /// Closes the socket and leaves its queue to the process that holds it too. Existing sessions go on.
  void leave();
  /// Gives the socket up to another Listener of this worker, without closing it: a close that is under way is
  /// off.
  [[nodiscard]] Fd release();

  std::uint32_t id() const { return id_; }
  bool is_shared() const { return shared_; }
  int fd() const { return fd_.get(); }
  bool is_open() const { return static_cast<bool>(fd_); }
  bool is_closing() const { return closing_; }
  ListenerLoad& load() const { return load_; }
  Worker& worker() const { return worker_; }
  const std::shared_ptr<const Pool>& pool() const { return pool_; }
  /// False when it is the one that it has.
  bool set_pool(std::shared_ptr<const Pool> pool);
  /// Of new sessions from now on. The routes' pools are those of `table`, or those that it has.
  void set_doorway(Doorway doorway, const Table& table);
  const Doorway& doorway() const { return doorway_; }
  /// New sessions have a rate: each has taken a token. Whoever waits in the queue of a socket that closes has
  /// waited long enough.
  bool takes_tokens() const {
    return doorway_.door != nullptr && !closing_ && doorway_.door->new_sessions().is_limited();
  }
  /// Of a session that has come to nothing.
  void give_back_token();
  void discount_accepted();
  /// A route's pool, by its name; null when there is none.
  const std::shared_ptr<const Pool>& pool_of(const std::string& name) const;
  /// Takes the newest versions of its routes' pools. False when there is none.
  bool take_route_pools(const Table& table);

  std::uint32_t sessions = 0;  ///< alive on this worker

 private:
  enum class Accepted : std::uint8_t {
    One,
    Gone,  ///< a client that had given up already
    NoneWaiting,
    Blocked  ///< by a limit or a shortage, which pass, or by a fault that may
  };

  void on_events(std::uint32_t seen) override;
  tl::expected<Permit, Refusal> admit();
  Accepted accept_one();
  Accepted accept_if_admitted();
  /// Of a listener whose new sessions have a rate; when there is no token it is tried again in time.
  bool take_token();
  std::uint32_t accept_some(std::uint32_t limit);
  void watch();
  void pause();
  void end_close();
  void begin_close();
  void refuse(bool refuse);
  std::uint32_t interest() const;

  Worker& worker_;
  const std::uint32_t id_;  ///< of the socket; the same for every worker and through move_listener()
  ListenerLoad& load_;
  Fd fd_;
  std::shared_ptr<const Pool> pool_;
  Doorway doorway_;
  std::map<std::string, std::shared_ptr<const Pool>, std::less<>> route_pools_;
  std::uint64_t last_turn_ = 0;   ///< the worker's turn of the last wake-up
  std::uint32_t last_burst_ = 0;  ///< accepts of it
  const bool shared_;
  bool paused_ = false;
  bool closing_ = false;
  bool shutting_ = false;  ///< closing, only to be shut
  bool shut_ = false;
  bool stays_shut_ = false;
  bool refusing_ = false;  ///< new clients
  bool blocked_ = false;   ///< closing: until it is resumed
};

}  // namespace weir
