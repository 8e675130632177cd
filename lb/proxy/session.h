#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "lb/balance/table.h"
#include "lb/base/address.h"
#include "lb/base/fd.h"
#include "lb/base/state.h"
#include "lb/net/loop.h"
#include "lb/proxy/deadlines.h"
#include "lb/proxy/pump.h"

namespace weir {

class Listener;
class Worker;

class Session;

/// One of a session's two sockets, as the loop sees it: a base of the Session, so that neither needs a
/// pointer to it.
struct ClientSide : Watcher {
  void on_events(std::uint32_t seen) final;

 protected:
  ~ClientSide() = default;
};
struct BackendSide : Watcher {
  void on_events(std::uint32_t seen) final;

 protected:
  ~BackendSide() = default;
};

/// One client connection and the backend connection that serves it, from accept to the line in the access
/// log. Lives on its worker's thread, owned by that Worker, which disposes of it after the batch of events in
/// which it ended.
///
///   Connecting ⇄ Waiting (own trouble, or a full unix backlog: tried again shortly)
///   Connecting → Relaying → Over
///                Relaying → Resetting → Over   one side is lost: what came before goes to the other side,
///                then a reset Relaying → Finishing → Over   the backend has answered in full and is lost:
///                the client is heard out
///
/// An idle session is this object and its two sockets: no buffer, no pipe, no timer of its own.
class Session final : private Deadline, private ClientSide, private BackendSide {
 public:
  struct Times {
    std::chrono::nanoseconds accepted;  ///< by the monotonic clock
    std::uint64_t last_activity_ms;
  };

  Session(Worker& worker, Listener& listener, Fd client, const ClientAddress& address, std::uint64_t number);
  ~Session();

  /// Picks a backend and begins to connect. May end the session.
  void start();
  /// Goes on with what ran out of its budget.
  void resume();
  void on_deadline();
  /// Ends it now, both sides with a reset. No-op when it is over.
  void abort(End how);

  static Session& of(Deadline& deadline) { return static_cast<Session&>(deadline); }

  /// Once it is over: its sockets, to be closed by the Worker together with those of others.
  void give_sockets(std::vector<Fd>& out);

  bool over() const { return phase_ == Phase::Over; }
  bool connecting() const { return phase_ == Phase::Connecting || phase_ == Phase::Waiting; }
  bool closing() const { return phase_ == Phase::Resetting || phase_ == Phase::Finishing; }
  std::uint64_t number() const { return number_; }
  const ClientAddress& client_address() const { return client_address_; }
  Listener& listener() const { return listener_; }
  const BackendLoad* backend() const { return lease_.get(); }
  Times times() const { return {accepted_, last_activity_ms_}; }
  std::uint64_t bytes_to_backend() const { return to_backend_.delivered_bytes(); }
  std::uint64_t bytes_to_client() const { return to_client_.delivered_bytes(); }

  bool queued = false;  ///< in the worker's list of those to resume

 private:
  friend struct ClientSide;
  friend struct BackendSide;
  enum class Phase : std::uint8_t { Connecting, Waiting, Relaying, Resetting, Finishing, Over };

  /// What only a session that is looking for a backend needs.
  struct Attempt {
    std::vector<BackendId> tried;
    std::uint32_t addresses_tried = 0;  ///< of the backend in lease_
    bool backlog_full = false;          ///< Waiting: for a unix backend to accept, not for a resource of ours
    std::uint64_t wait_ms = 0;          ///< Waiting: before the next try
    std::uint64_t give_up_ms =
        0;  ///< Waiting: when this backend has had its connect_timeout; 0 = not yet waited
  };
  void close_side(Fd& fd);
  // session_connect.cpp
  Attempt& attempt();
  void connect_next();
  const Backend* pick_untried(const Pool& pool);
  /// False: this backend has failed, take the next.
  bool connect_to(const Backend& backend, const PoolSettings& settings);
  bool on_start_failed(int error, const PoolSettings& settings);
  void on_connect_event(std::uint32_t seen);
  void on_connect_deadline();
  void on_connected();
  void on_address_failed();
  void count_failure();
  /// Leaves a backend on trial, of which nothing has been learnt, to the next session.
  void give_up_trial();

  // session.cpp
  void on_client_events(std::uint32_t seen);
  void on_backend_events(std::uint32_t seen);
  void relay_in_turn();
  void relay();
  void count_bytes(std::uint64_t to_backend, std::uint64_t to_client);
  void settle(Pump::Outcome to_backend, Pump::Outcome to_client);
  void reset_after_delivery(End how);
  void finish_after_answer();
  void poll_delivery();
  void arm();
  void end(End how, bool reset);
  std::uint64_t accepted_ms() const;
  bool half_closed() const { return to_backend_.source_finished() || to_client_.source_finished(); }
  bool lost_one() const { return client_lost_ || backend_lost_; }

  Worker& worker_;
  Listener& listener_;
  Fd client_;
  Fd backend_;
  Pump to_backend_;
  Pump to_client_;
  Lease lease_;
  std::unique_ptr<Attempt> attempt_;
  std::uint64_t number_;
  std::chrono::nanoseconds accepted_;
  std::uint64_t last_activity_ms_;
  std::uint32_t connect_us_ = 0;
  std::uint32_t idle_timeout_ms_ = 0;
  std::uint32_t half_close_timeout_ms_ = 0;
  ClientAddress client_address_;
  std::uint16_t attempts_ = 0;
  Phase phase_ = Phase::Connecting;
  End ending_ = End::Done;          ///< what a Resetting session will have ended with
  std::uint8_t poll_exponent_ = 0;  ///< Resetting: the next look at the target's queue is in 2^n ms
  bool connected_ : 1 = false;
  bool trial_ : 1 = false;  ///< holds BackendLoad::trial_taken
  bool client_lost_ : 1 = false;
  bool backend_lost_ : 1 = false;
  bool answer_complete_ : 1 = false;  ///< the backend's FIN came, before any reset of its
  bool fin_to_backend_ : 1 = false;
  bool fin_to_client_ : 1 = false;
  bool keepalive_set_ : 1 = false;
  bool short_timeout_ : 1 = false;  ///< half_close_timeout is in force, no longer idle_timeout
};

}  // namespace weir
