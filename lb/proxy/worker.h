#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "lb/balance/table.h"
#include "lb/base/error.h"
#include "lb/net/loop.h"
#include "lb/proxy/access_log.h"
#include "lb/proxy/deadlines.h"
#include "lb/proxy/gate.h"
#include "lb/proxy/listener.h"
#include "lb/proxy/pipe_pool.h"
#include "lb/proxy/pump.h"
#include "lb/proxy/session.h"

namespace weir {

/// Weir's own trouble, never a backend's: no descriptors, no memory for sockets, no source port.
struct Trouble {
  const char* doing;  ///< "accept" or "connect"
  int error;
};

/// What all workers share. Made before them, outlives them.
struct WorkerShared {
  Gate& gate;
  AccessLog& access_log;
  std::uint32_t workers;
  /// Called on a worker's thread; must not block. A backend's failures_in_a_row has changed in a way the
  /// checker wants to know.
  std::function<void(const std::shared_ptr<BackendLoad>&)> on_connects_changed;
  /// Called on a worker's thread, at most once a second for each worker; must not block.
  std::function<void(std::uint32_t worker, Trouble)> on_trouble;
  /// Wakes the listeners of every worker after a place has become free (Gate). Any worker's thread.
  std::function<void()> wake_all;
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

  // All that follows: on the worker's thread.

  /// From now on sessions are served by this Table, unless a newer one is in use already.
  void adopt(std::shared_ptr<const Table> table);
  /// Accepts on `fd`. `shared`: other workers accept on the same socket.
  void add_listener(std::uint32_t id, ListenerLoad& load, Fd fd, bool shared);
  /// The socket goes on under another name or for another pool; sessions that it has brought stay with the
  /// old one.
  void move_listener(std::uint32_t id, ListenerLoad& load);
  /// Serves whoever is in the kernel's queue, then closes the socket.
  void close_listener(std::uint32_t id);
  void close_all_listeners();
  /// Closes the socket, whose queue another process serves from now on.
  void leave_listener(std::uint32_t id);
  /// A duplicate of every listening socket that is open and not being closed, for another process.
  void duplicate_listeners(std::vector<Fd>& out) const;
  /// Accepts on where a limit or a shortage had stopped it.
  void resume_listeners();
  /// From the next post on, or until it is taken back as often as it was said, this process starts children.
  /// Between its fork and its exec a child holds every session's sockets too: closing them is then not enough
  /// to take them out of the epoll set, and their events would come for sessions that are no more.
  void expect_children(bool expected) { children_expected_ += expected ? 1 : -1; }
  std::size_t abort_sessions(const std::function<bool(const Session&)>& which, End how);
  void visit_sessions(const std::function<void(const Session&)>& visit);

  // For this room.

  Loop& loop() { return *loop_; }
  WorkerShared& shared() { return shared_; }
  PumpContext& pump_context() { return pump_context_; }
  Deadlines& deadlines() { return deadlines_; }
  /// Sockets leave the epoll set before they are closed: two system calls more for each session.
  bool children_expected() const { return children_expected_ > 0; }
  std::uint32_t index() const { return index_; }
  std::uint64_t now_ms() const;
  std::uint64_t turn() const { return turn_; }  ///< counts the batches of events
  const std::shared_ptr<const Table>& table() const { return table_; }

  void start_session(Listener& listener, Fd client, const ClientAddress& address);
  /// Resumes it at the end of this turn, or of a later one: in the order of the calls.
  void run_again(Session& session);
  /// A bulk session with an event has to queue (run_again): others do already, or the turn has had its bytes.
  /// Small messages go past.
  bool bulk_waits() const { return !run_again_.empty() || pump_context_.moved_bytes >= kBulkBytes; }
  /// The session is over: at the end of the turn its sockets are closed, its place is free, and it is gone.
  void on_session_over(Session& session);
  void on_trouble(Trouble trouble);
  /// A listener that ran out of descriptors is tried again after a while, or when a session ends.
  void retry_listeners_later() { retry_listeners_ms_ = now_ms() + kListenerRetryMs; }

 private:
  static constexpr std::uint64_t kListenerRetryMs = 100;
  static constexpr std::size_t kReadBufferBytes = 64 * 1024;
  /// What bulk sessions may move in a turn as their events come, and again at its end. However many there
  /// are, a message that comes in meanwhile waits for no more than that: 1 to 2 ms.
  static constexpr std::uint64_t kBulkBytes = 2 * 1024 * 1024;

  Worker(std::uint32_t index, WorkerShared& shared, std::unique_ptr<Loop> loop);
  Millis on_turn_end() override;
  void resume_queued();
  void dispose_of_ended();
  /// Disposes of the sessions that are over, and lets those in who wait for their places.
  void hand_on_places();
  /// Usually one; several when this worker serves sockets of workers that are no more.
  std::vector<Listener*> find_listeners(std::uint32_t id) const;

  const std::uint32_t index_;
  WorkerShared& shared_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<std::byte[]> buffer_;
  PipePool pipes_;
  PumpContext pump_context_;
  Deadlines deadlines_;
  std::shared_ptr<const Table> table_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<Session*> run_again_;  // in the order of their turns
  std::vector<Session*> running_;    // empty but for its capacity, outside resume_queued()
  std::vector<std::unique_ptr<Session>> ended_;
  std::vector<Fd> closing_;  // empty but for its capacity, between disposals
  int children_expected_ = 0;
  std::uint64_t next_session_ = 1;
  std::uint64_t turn_ = 0;
  std::uint64_t retry_listeners_ms_ = 0;  ///< 0 = nobody waits for descriptors
  std::uint64_t trouble_said_ms_ = 0;
  std::thread thread_;
};

}  // namespace weir
