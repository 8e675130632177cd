#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <tl/expected.hpp>
#include <vector>

#include "lb/balance/table.h"
#include "lb/base/address.h"
#include "lb/base/fd.h"
#include "lb/base/state.h"
#include "lb/net/loop.h"
#include "lb/proxy/admission.h"
#include "lb/proxy/arrival.h"
#include "lb/proxy/arrivals.h"
#include "lb/proxy/attempts.h"
#include "lb/proxy/deadlines.h"
#include "lb/proxy/facts.h"
#include "lb/proxy/hedge.h"
#include "lb/proxy/listener.h"
#include "lb/proxy/loop_guard.h"
#include "lb/proxy/relay.h"
#include "lb/proxy/session_list.h"

namespace weir {

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
///   Arriving → Waiting                        the client has yet to say who it is (Arrival)
///   Waiting ⇄ Connecting → Relaying → Over    what happens while relaying is the Relay's affair
///   Relaying → Connecting                     the backend has accepted and ended before anything had passed
///
/// Connecting ends when the backend has accepted and, where its client has been promised TLS, said yes to it.
///
/// Waiting: for a first verdict, for a backend with room, or for something that is short (WaitingRoom).
///
/// An idle session is this object and its two sockets: no buffer, no pipe, no timer of its own.
class Session final : private Deadline, private ListPlace, private ClientSide, private BackendSide {
 public:
  struct Times {
    std::chrono::nanoseconds accepted;  ///< by the monotonic clock
    std::uint64_t last_activity_ms;
  };

  Session(Worker& worker, Listener& listener, Permit permit, Fd client, const ClientAddress& address,
          std::uint64_t number);
  ~Session();

  /// Picks a backend and begins to connect. May end the session.
  void start();
  /// Goes on with what ran out of its budget.
  void resume();
  void on_deadline();
  /// What it has waited for may be there, or all has changed (FirstVerdict).
  void on_summoned(WaitFor why);
  /// Ends it now, both sides with a reset. No-op when it is over.
  void abort(End how);
  /// Its backend has gone down, and its sessions are not to stay. One that it has not accepted yet tries the
  /// next; one that it has served whole, or that waits for another, goes on; any other ends.
  enum class Leaving : std::uint8_t { Stays, TriesAnother, Ended };
  Leaving leave_backend();
  /// The same of one that it tries beside its first.
  void leave_hedge(BackendId backend);

  static Session& of(Deadline& deadline) { return static_cast<Session&>(deadline); }
  static Session& of(ListPlace& place) { return static_cast<Session&>(place); }
  ListPlace& place() { return *this; }

  /// Once it is over: its sockets, to be closed by the Worker together with those of others.
  void give_sockets(std::vector<Fd>& out);

  bool over() const { return phase_ == Phase::Over; }
  bool connecting() const {
    return phase_ == Phase::Connecting || phase_ == Phase::Waiting || phase_ == Phase::Arriving;
  }
  /// It waits until a backend has room.
  bool in_queue() const { return phase_ == Phase::Waiting && setup_->queued_at != kNotQueued; }
  /// The rules in force at its listener would not let its client in (Worker::door_in_force). Nobody is denied
  /// who has yet to say who it is.
  bool is_denied() const;
  /// The same by these rules; null: everybody is let in.
  bool is_denied_by(const Door* door) const;
  /// It is served, and goes on; and its client, coming again, may get another backend.
  bool is_movable() const;
  /// One side is gone, and the other one is being brought to its end.
  bool closing() const { return phase_ == Phase::Relaying && relay_.closing(); }
  /// One side has finished, and the other one goes on.
  bool half_closed() const {
    return phase_ == Phase::Relaying && patience_ == Relay::Patience::HalfClosed && !closing();
  }
  /// The backend has answered in full and is gone; the client is heard out.
  bool hearing_out() const { return phase_ == Phase::Relaying && relay_.hearing_out(); }
  /// Ends one that is heard out, cleanly, now or as soon as the client has taken the answer: for a process
  /// that ends.
  void finish_hearing_out();
  std::uint64_t number() const { return number_; }
  const ClientAddress& client_address() const { return client_address_; }
  Listener& listener() const { return listener_; }
  const BackendLoad* backend() const { return lease_.get(); }
  /// The name of the pool that it is for: its route's or its listener's. "" = none yet.
  const std::string& pool_name() const;
  /// As it is shown: that of the backend that has it, which may be another pool's and stand in; else that
  /// one.
  const std::string& pool_in_view() const {
    return lease_.get() != nullptr ? lease_.get()->pool : pool_name();
  }
  /// The newest version of that pool; null when there is none.
  const std::shared_ptr<const Pool>& pool() const;
  /// It counts as one of its client's sessions: those have a limit.
  bool has_client_place() const {
    return facts_ ? static_cast<bool>(facts_->place)
                  : setup_ && setup_->arrival && setup_->arrival->client.has_place();
  }
  /// Ends one that has yet to say who it is, since too many have.
  void give_way();
  Times times() const;
  std::uint64_t bytes_to_backend() const { return relay_.bytes_to_backend(); }
  std::uint64_t bytes_to_client() const { return relay_.bytes_to_client(); }

  /// For Flows, which knows that way of it, or is to.
  bool is_watched_flow(Way way) const {
    return way == Way::ToBackend ? watched_to_backend_ : watched_to_client_;
  }
  void set_watched_flow(Way way, bool watched) {
    if (way == Way::ToBackend)
      watched_to_backend_ = watched;
    else
      watched_to_client_ = watched;
  }
  std::uint64_t delivered(Way way) const {
    return way == Way::ToBackend ? bytes_to_backend() : bytes_to_client();
  }
  bool has_mark(Way way) const { return relay_.has_mark(way); }
  bool mark(Way way) { return relay_.mark(way); }
  /// What has come meanwhile is read next turn.
  void unmark(Way way);

  /// Whether it is in the worker's list of those to resume.
  bool queued() const { return queued_; }
  void set_queued(bool queued) { queued_ = queued; }

 private:
  friend struct ClientSide;
  friend struct BackendSide;
  friend class Hedge;
  enum class Phase : std::uint8_t { Connecting, Arriving, Waiting, Relaying, Over };

  static constexpr std::chrono::nanoseconds kNotQueued{-1};
  static constexpr std::uint64_t kNever = UINT64_MAX;

  /// What only a session needs that looks for a backend, or whose backend has yet to show that it means it.
  struct Setup {
    explicit Setup(Worker& worker);
    ~Setup();
    Setup(const Setup&) = delete;
    Setup& operator=(const Setup&) = delete;

    struct Arriving {
      Arriving(Session& session, const Doorway& doorway)
          : client(doorway, session.client_address()), place(session) {}
      ~Arriving();

      Arrival client;
      ArrivalPlace place;
    };
    Worker& worker;  ///< counts it
    std::unique_ptr<Arriving> arrival;
    std::vector<std::byte> first_bytes;  ///< of the client's, that have been read before a backend was there
    std::size_t sent_early =
        0;  ///< of the client's bytes, before these, to the backend that has just accepted
    SendProxy send_proxy = SendProxy::Off;  ///< of the pool of the backend that is connected to
    bool tls_promised = false;              ///< to the client, who has been told so: Arrival
    bool asking = false;                    ///< the backend, which has accepted, has yet to say yes to TLS
    std::vector<std::byte> question;        ///< what it has yet to be sent before that
    Attempts attempts;
    std::uint64_t probation_over_ms = 0;
    std::uint64_t try_until_ms = 0;      ///< of the connect that is under way
    std::uint64_t hedge_at_ms = kNever;  ///< then it gets another one beside it
    std::unique_ptr<Hedge> hedge;
    std::chrono::nanoseconds queued_at = kNotQueued;
    std::chrono::nanoseconds tried_at{0};  ///< the connect that is under way
    std::uint16_t port = 0;                ///< of the backend that is connected to; 0 for a unix path
  };

  // session_arrive.cpp
  void arrive();
  void on_arrival_event(std::uint32_t seen);
  /// `seen`: the event that has brought it; 0: none has.
  void heed(const Arrival::Answer& answer, std::uint32_t seen = 0);
  /// False: it is gone.
  bool tell_client(const std::string& reply) const;
  void turn_away(End how, std::string why);
  /// Only what is let in takes one.
  void give_back_token();
  /// What the client has said by now, to go out with the header. False: it has reset.
  bool read_first_bytes();
  /// Puts the header for the backend before `bytes`; answers how long it is.
  std::size_t add_header(std::vector<std::byte>& bytes);
  Facts& facts();

  // session_connect.cpp
  void look_for_backend();
  /// False: it is full.
  bool take_backend(const Backend& backend);
  /// Leaves a backend on trial, of which nothing has been learnt, to the next session.
  void give_up_trial();
  /// Begins to connect, and watches it.
  tl::expected<Connection, ConnectFault> open_connection(const Attempts::Try& one,
                                                         const PoolSettings& settings, Watcher& watcher);
  /// What the client has said by now, if anything: valid until the worker's buffer is used again, or kept by
  /// keep_first_bytes(). Nothing: it has reset.
  std::optional<std::span<const std::byte>> hear_first_bytes();
  void keep_first_bytes(std::span<const std::byte> bytes);
  struct Sent {
    std::size_t bytes = 0;
    int error = 0;  ///< an errno: the connect has failed, or the backend has ended already
  };
  /// A backend on this host has accepted as soon as connect() returns: sends it what the client has said,
  /// without waiting for the event. Nothing sent: it has not accepted yet, or this is not the way.
  Sent send_early(std::span<const std::byte> bytes, const Address& to);
  /// Nothing: it is under way, or done.
  std::optional<ConnectFault> try_connect(const Attempts::Try& one, const Pool& pool);
  void take_connection(Connection& connection);
  /// Until what is under way is given up, or gets another one beside it.
  void arm_connect();
  /// True: it is to look again at once.
  bool wait_for(const Attempts::Wait& wait, const Pool* pool);
  bool queue_for(const Pool& pool);
  void leave_queue();
  void leave_waiting_room();
  void close_backend();
  void on_connect_event(std::uint32_t seen);
  void on_connect_deadline();
  /// Nobody listens at that port. Whoever wants to bind it must not find a TIME_WAIT.
  bool has_met_itself(int fd, std::uint16_t port, std::optional<LoopGuard::Slot> shown) const;
  /// Its connect ended with that error, and it had accepted before, and answered or finished.
  static bool has_answered(int fd, int error);
  void on_connected();
  void pace() const;
  /// The relay begins with what is in hand: the header, what the client has said. False: it has reset.
  bool start_with_first_bytes();
  /// What the session's own bytes follow has been said: from now on they are relayed.
  void begin_relay();
  void on_address_failed();
  /// The backend has accepted and ended before anything had passed: looks for another one. False when it has
  /// been there too long for that, or the client has spoken meanwhile.
  bool try_another();
  /// It has served, or has had its time to.
  void end_probation();
  void count_failure() { count_failure(lease_); }
  void count_failure(const Lease& of);

  // session_tls.cpp
  /// The backend has accepted: asks it for TLS, behind its header, as the client has been promised.
  void ask_for_tls();
  /// Goes on asking, and listening.
  void hear_about_tls();
  /// It will not: it has failed like one that refuses. `how` goes into the log unless another one will.
  void fail_to_get_tls(std::string_view how);

  // session_hedge.cpp
  void begin_hedge();
  /// With all that a hedge needs beside; empty: something of it is not to be had.
  Lease take_place_for_hedge(const Pool& pool, const Backend& backend);
  void try_hedge(std::optional<Attempts::Try> next);
  /// It has come to nothing.
  void drop_hedge();
  void on_hedge_event(std::uint32_t seen);
  void on_hedge_failed(ConnectFault fault);
  /// It has accepted: the first connect is given up for it. The event that says so comes once more, to the
  /// session itself: until then an event of the first one may still be in this batch.
  void prefer_hedge();
  /// It is the session's connect from now on. The first one has been closed.
  void take_hedge();
  /// The first one has accepted, or the session is over.
  void lose_hedge();
  void close_hedge();
  void close_connection(Connection& connection);
  /// Answers whose it was.
  std::shared_ptr<BackendLoad> give_back(Lease& lease);
  /// The events of a socket, whatever a batch says that may be of another.
  static std::uint32_t seen_now(int fd);

  // session.cpp
  Worker& worker() const { return listener_.worker(); }
  void take_timeouts();
  void on_client_events(std::uint32_t seen);
  void on_backend_events(std::uint32_t seen);
  void relay_in_turn();
  void relay();
  void take(Relay::Step& step);
  /// `to_backend`, `to_client`: what had been moved before that flow.
  void conclude(Relay::Flow flow, std::uint64_t to_backend, std::uint64_t to_client);
  void count_bytes(std::uint64_t to_backend, std::uint64_t to_client);
  void record_first_byte(WorkerTotals& totals);
  void close(Fd fd);
  void wake_in(std::uint32_t ms);
  void withdraw_shown();
  void touch();
  /// What has passed since the last activity. Exact up to 49 days: Worker::timeouts_of().
  std::uint32_t idle_ms() const;
  std::uint32_t timeout_ms() const;
  /// When it has lived as long as it may; never: UINT64_MAX.
  std::uint64_t lifetime_over_ms() const;
  void arm();
  void end(End how, bool reset);
  /// For metrics; `backend`: null = none had it.
  void count_end(End how, BackendLoad* backend, std::chrono::nanoseconds lasted);
  /// Where what no backend had is counted.
  EndBook::Page& unserved_page();
  /// Ends one of which nothing is told.
  void end_unseen();
  std::uint64_t accepted_ms() const;

  static constexpr std::uint32_t kNoTime = UINT32_MAX;

  Listener& listener_;
  Permit permit_;
  [[no_unique_address]] Relay relay_;   // what follows may use the room at its end
  std::uint32_t last_activity_ms_ = 0;  ///< of the loop's clock, modulo 2^32
  [[no_unique_address]] Lease lease_;
  std::uint32_t connect_us_ = 0;
  std::unique_ptr<Setup> setup_;
  std::unique_ptr<Facts> facts_;
  std::uint64_t number_;
  std::chrono::nanoseconds accepted_;
  std::uint32_t first_byte_us_ = kNoTime;  ///< from the backend's accept
  [[no_unique_address]] ClientAddress client_address_;
  Phase phase_ = Phase::Connecting;
  std::uint16_t attempts_ = 0;
  std::uint16_t timeouts_ = 0;  ///< Worker::timeouts()
  LoopGuard::Slot shown_slot_ = 0;
  Relay::Patience patience_ : 2 = Relay::Patience::Idle;
  bool connected_ : 1 = false;
  bool trial_ : 1 = false;  ///< holds BackendLoad::trial_taken
  bool keepalive_set_ : 1 = false;
  bool queued_ : 1 = false;
  bool shown_ : 1 = false;               ///< its connect, to the LoopGuard, in shown_slot_
  bool unseen_ : 1 = false;              ///< nothing is told of it
  bool has_token_ : 1 = false;           ///< of its listener's rate
  bool watched_to_backend_ : 1 = false;  ///< by Flows
  bool watched_to_client_ : 1 = false;
  bool wake_pending_ : 1 = false;  ///< the deadline is one that the relay asked for
};

}  // namespace weir
