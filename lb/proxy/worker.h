#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "lb/balance/table.h"
#include "lb/base/congestion_control.h"
#include "lb/base/error.h"
#include "lb/net/loop.h"
#include "lb/net/socket.h"
#include "lb/proxy/access_log.h"
#include "lb/proxy/admission.h"
#include "lb/proxy/arrivals.h"
#include "lb/proxy/close_order.h"
#include "lb/proxy/deadlines.h"
#include "lb/proxy/flows.h"
#include "lb/proxy/hedge.h"
#include "lb/proxy/listener.h"
#include "lb/proxy/loop_guard.h"
#include "lb/proxy/pipe_pool.h"
#include "lb/proxy/pump.h"
#include "lb/proxy/session.h"
#include "lb/proxy/session_list.h"
#include "lb/proxy/sweep.h"
#include "lb/proxy/wait_list.h"
#include "lb/proxy/waiting_room.h"

namespace weir {

/// Weir's own trouble, never a backend's: no descriptors, no memory for sockets, no source port.
struct Trouble {
  const char* doing;  ///< "accept", "bind", "connect" or "relay"
  int error;
};

/// What all workers share. Made before them, outlives them.
struct WorkerShared {
  Admission& admission;
  PipeAllowance& pipes;
  AccessLog& access_log;
  std::uint32_t workers;
  /// Called on a worker's thread; must not block. A backend's failures_in_a_row has changed in a way the
  /// checker wants to know.
  std::function<void(const std::shared_ptr<BackendLoad>&)> on_connects_changed;
  /// Called on a worker's thread, at most once a second for each worker; must not block.
  std::function<void(std::uint32_t worker, Trouble)> on_trouble;
  /// Descriptors are short: every worker is to give back its idle pipes. Called on a worker's thread.
  std::function<void()> reclaim;
  Arrivals& arrivals;
  /// Set once the workers are made, before they run.
  WaitList* wait_list = nullptr;
  /// That worker is to have its longest-waiting arrival give way. Called on a worker's thread.
  std::function<void(std::uint32_t worker)> give_way = {};
  /// Of this process: no other has had it, as far as chance goes.
  std::string instance = "0";
  /// Null: nobody looks for backends that lead back to Weir.
  LoopGuard* loops = nullptr;
};

/// One event-loop thread: its listening sockets, its sessions, the buffers it lends them. Reads the Table it
/// was last handed, shares nothing else with other workers but atomics, and takes no lock.
class Worker final : private LoopTurn {
 public:
  static Result<std::unique_ptr<Worker>> create(std::uint32_t index, WorkerShared& shared);
  /// Sessions that are left end as `shutdown`.
  ~Worker();

  void start();
  /// Ends and joins the thread. What is posted before still runs. Every worker before the first one is
  /// destroyed: any of them may still wake all the others.
  void stop();
  /// Runs `task` on the worker's thread, in the order of the posts. Any thread.
  void post(std::function<void()> task) { loop_->post(std::move(task)); }
  /// Sessions that look for a backend, or whose backend has yet to show that it means it: what is decided of
  /// backends, and of their room, still concerns them. Any thread.
  std::int64_t unsettled() const { return unsettled_.load(std::memory_order_relaxed); }

  // All that follows: on the worker's thread.

  /// From now on sessions are served by this Table, unless a newer one is in use already. A listener whose
  /// pool is not in it keeps the version that it has.
  void adopt(std::shared_ptr<const Table> table);
  /// Accepts on `fd`. `shared`: other workers accept on the same socket.
  void add_listener(std::uint32_t id, ListenerLoad& load, Doorway doorway, Fd fd, bool shared);
  /// The socket goes on under another name or for another pool, also when its close has been taken back;
  /// sessions that it has brought stay with the old one.
  void move_listener(std::uint32_t id, ListenerLoad& load, const Doorway& doorway);
  /// What that listener asks of new clients from now on.
  void set_doorway(std::uint32_t id, const Doorway& doorway);
  /// Serves whoever is in the kernel's queue, then closes the socket, unless the order is taken back.
  void close_listener(std::uint32_t id, std::shared_ptr<CloseOrder> order);
  /// Has the kernel refuse new clients of that listener, once whoever is in its queue has been served; or
  /// takes them again.
  void set_shut(std::uint32_t id, bool shut);
  void close_all_listeners();
  /// Closes the socket, whose queue another process serves from now on.
  void leave_listener(std::uint32_t id);
  /// A duplicate of every listening socket that is open, for another process. One that is being closed too:
  /// if the other wants its address, it is neither free nor a stranger's.
  void duplicate_listeners(std::vector<Fd>& out) const;
  /// Accepts on where a limit or a shortage had stopped it.
  void resume_listeners();
  /// What connections have where the configuration names none, from now on.
  void set_unnamed(UnnamedCongestionControl unnamed) { unnamed_ = std::move(unnamed); }
  /// The clients that this listener's sockets bring get that one from now on.
  void set_congestion_control(std::uint32_t id, const std::string& name);
  void set_busy_poll(BusyPoll how) { loop_->busy_polling().set(how); }
  /// Gives back what others need more.
  void release_idle_pipes();
  WaitingRoom& waiting_room() { return waiting_room_; }
  /// From the next post on, or until it is taken back as often as it was said, this process starts children.
  /// Between its fork and its exec a child holds every session's sockets too: closing them is then not enough
  /// to take them out of the epoll set, and their events would come for sessions that are no more.
  void expect_children(bool expected) { children_expected_ += expected ? 1 : -1; }
  /// Visits each session that there is now (Sweeper). When `done` is called, those that were ended have been
  /// disposed of: whoever asked for it may look at the counts.
  void sweep(Sweeper::Visit visit, Sweeper::Done done);
  /// The process ends: sessions that only hear their client out do not keep it.
  void wind_up();

  // For this room.

  Loop& loop() { return *loop_; }
  WorkerShared& shared() { return shared_; }
  PumpContext& pump_context() { return pump_context_; }
  Deadlines& deadlines() { return deadlines_; }
  Flows& flows() { return flows_; }
  /// Sockets leave the epoll set before they are closed: two system calls more for each session.
  bool children_expected() const { return children_expected_ > 0; }
  bool winding_up() const { return winding_up_; }
  void count_unsettled(int change) {
    unsettled_.store(unsettled_.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
  }
  std::uint32_t index() const { return index_; }
  /// A connection to that port may have met itself.
  bool may_meet_itself(std::uint16_t port) const { return local_ports_.contains(port); }
  /// Counts the connects that have sources to choose from.
  std::size_t next_turn() { return connect_turns_++; }
  /// Of a connection to there; "" = the system's.
  const std::string& congestion_control(const PoolSettings& settings, const Address& to) const {
    return settings.congestion_control.empty() ? unnamed_.of(to) : settings.congestion_control;
  }
  std::uint64_t now_ms() const { return loop_->now_ms(); }
  std::uint64_t turn() const { return turn_; }  ///< counts the batches of events
  const std::shared_ptr<const Table>& table() const { return table_; }

  /// Asked by a listener whose queue has been served out.
  bool may_close(const Listener& listener);
  void on_listener_closed(std::uint32_t id);
  void start_session(Listener& listener, Permit permit, Fd client, const ClientAddress& address);
  /// Resumes it at the end of this turn, or of a later one: in the order of the calls.
  void run_again(Session& session);
  /// A bulk session with an event has to queue (run_again): others do already, or the turn has had its bytes.
  /// Small messages go past.
  bool bulk_waits() const { return !run_again_.empty() || pump_context_.turn_is_spent(); }
  /// The session is over: at the end of the turn its sockets are closed, its place is free, and it is gone.
  void on_session_over(Session& session);
  /// After this batch.
  void dispose_of(std::unique_ptr<Hedge> hedge) {
    ended_hedges_.push_back(std::move(hedge));
    work_left_ = true;
  }
  void on_trouble(Trouble trouble);
  /// Somebody could not come in for want of descriptors: idle pipes are given back, everywhere.
  void on_descriptors_short();
  /// A connect to `backend` has been started on `fd`. Where it has been shown to the LoopGuard, as a few are.
  std::optional<LoopGuard::Slot> on_connecting(BackendId backend, int fd) {
    return loops_ ? loops_->connecting(backend, fd, now_ms()) : std::nullopt;
  }
  /// What was shown is a real backend's: it has spoken, or its socket is about to be closed.
  void withdraw_shown(LoopGuard::Slot slot) { loops_->withdraw(slot); }
  /// A listener that ran out of descriptors is tried again after a while, or when a session ends.
  void retry_listeners_later() { retry_listeners_ms_ = now_ms() + kListenerRetryMs; }
  /// One that has to wait for a token is tried again when there is one.
  void resume_listeners_in(std::uint64_t ms) { tokens_ms_ = std::min(tokens_ms_, now_ms() + ms); }

  /// The timeouts of sessions, each set once: what a session keeps of them is its place here.
  struct Timeouts {
    std::uint32_t idle_ms = 0;
    std::uint32_t half_close_ms = 0;
    std::uint32_t lifetime_ms = 0;  ///< 0 = no limit
    friend bool operator==(const Timeouts&, const Timeouts&) = default;
  };
  std::uint16_t timeouts_of(const PoolSettings& settings);
  const Timeouts& timeouts(std::uint16_t place) const { return timeouts_[place]; }

  /// The session has to say who it is. The one that has waited longest, on whichever worker, may give way to
  /// it: its own end comes then.
  void arrival_begins(ArrivalPlace& place);
  void arrival_ended(ArrivalPlace& place);
  /// Ends the one that has waited longest here, if there are still too many.
  void let_one_give_way();
  /// What the listener asks of new clients, or who has its socket or its name now; once there is nobody, what
  /// it asked last. Null: nothing.
  std::shared_ptr<const Door> door_in_force(const Listener& listener) const;
  /// Of a session, over restarts and upgrades, too; as the log has it.
  std::string unique_id(const Session& session) const;

 private:
  static constexpr std::uint64_t kListenerRetryMs = 100;
  static constexpr std::size_t kReadBufferBytes = 64 * 1024;
  /// Deadlines that come due in one turn; each may end a session.
  static constexpr std::size_t kExpiriesPerTurn = 32;
  static constexpr std::uint64_t kStallMs = 100;
  /// A timeout is compared with the time since the last activity, of which 32 bits are kept: longer ones (49
  /// days) are cut to this, and a deadline may be looked at an hour late.
  static constexpr std::int64_t kLongestTimeoutMs = UINT32_MAX - 3'600'000;
  static constexpr std::uint32_t kMostCatchUpTurns = 4'096;  ///< a million events

  struct Close {
    std::uint32_t id;
    std::shared_ptr<CloseOrder> order;
  };
  /// The order to close this id, or none.
  std::vector<Close>::iterator find_close(std::uint32_t id);

  Worker(std::uint32_t index, WorkerShared& shared, std::unique_ptr<Loop> loop);
  Millis on_turn_end() override;
  /// To every listener the newest version of its pool.
  void give_pools();
  void resume_queued();
  void dispose_of_ended();
  void close(Listener& listener);
  void say_oldest_arrival();
  /// There is one.
  Session& oldest_arrival_of(const ListenerLoad& load);
  /// How many may have yet to say who they are, where so many sessions may be.
  static std::uint64_t most_arrivals(std::uint64_t limit) { return std::max<std::uint64_t>(limit / 2, 1); }
  void step_closing_listeners();
  void expire_some();
  /// After a stall of the process, or of the machine, events wait in the kernel that are older than the
  /// deadlines: these come after them. For a while at most, since a full machine has full batches always.
  bool catching_up(std::uint64_t now);
  /// Of what is done in bounded steps.
  void take_steps();
  bool busy() const;
  /// Until something comes due.
  Millis sleep_from(std::uint64_t now) const;
  /// Usually one; several when this worker serves sockets of workers that are no more.
  std::vector<Listener*> find_listeners(std::uint32_t id) const;

  const std::uint32_t index_;
  std::atomic<std::int64_t> unsettled_{0};  // written by its own thread only; outlives the sessions
  const PortRange local_ports_ = local_port_range();
  WorkerShared& shared_;
  UnnamedCongestionControl unnamed_;
  std::optional<LoopGuard::Watch> loops_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<std::byte[]> buffer_;
  PipePool pipes_;
  PumpContext pump_context_;
  Deadlines deadlines_;
  Flows flows_;
  std::shared_ptr<const Table> table_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<Close> closes_;  // not done and, as far as is known here, not taken back
  std::vector<Listener*> closing_listeners_;
  SessionList sessions_;  // owned: each is deleted by dispose_of_ended(), or by the destructor
  Sweeper sweeper_;
  WaitingRoom waiting_room_;
  std::vector<Timeouts> timeouts_{1};
  SessionList arriving_;             // those that have yet to say who they are
  std::vector<Session*> run_again_;  // in the order of their turns
  std::vector<Session*> running_;    // empty but for its capacity, outside resume_queued()
  std::vector<std::unique_ptr<Session>> ended_;
  std::vector<std::unique_ptr<Hedge>> ended_hedges_;
  std::vector<Fd> closing_;  // empty but for its capacity, between disposals
  int children_expected_ = 0;
  bool winding_up_ = false;
  std::uint64_t next_session_ = 1;
  std::size_t connect_turns_ = 0;
  std::uint64_t last_turn_ms_ = 0;
  std::uint32_t catch_up_turns_ = 0;
  /// The end of a turn has more to do than to look at the clock. Set by whatever gives it something to do.
  bool work_left_ = false;
  bool more_verdicts_ = false;  ///< sessions have still to look at what has come
  std::uint64_t turn_ = 0;
  static constexpr std::uint64_t kNever = UINT64_MAX;
  std::uint64_t tokens_ms_ = kNever;
  std::uint64_t retry_listeners_ms_ = 0;  ///< 0 = nobody waits for descriptors
  std::uint64_t trouble_said_ms_ = 0;
  std::thread thread_;
};

}  // namespace weir
