#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "lb/control/workers.h"
#include "lb/net/loop.h"
#include "lb/proxy/worker.h"

namespace weir {

/// All workers, as the control thread sees them: it owns them, speaks to all at once and hears of it when the
/// last has answered. Control thread only, except resume_listeners().
class Fleet final : public Workers {
 public:
  /// `control` runs the callbacks. How workers reach one another is set here.
  static Result<std::unique_ptr<Fleet>> create(Loop& control, WorkerShared shared);
  ~Fleet() override;

  void start();
  std::size_t size() const { return workers_.size(); }
  Worker& worker(std::size_t index) { return *workers_[index]; }

  /// `adopted` comes once for each worker.
  void adopt(const std::shared_ptr<const Table>& table,
             const std::function<void(std::uint32_t worker)>& adopted);
  void list_sessions(const SessionFilter& filter, SessionOrder order, std::size_t limit,
                     Listed done) override;
  void count_by_client(const SessionFilter& filter, Counted done) override;
  void count_limited(LimitedCounted done) override;
  void longest_idle(Idled done) override;
  void kill_sessions(const SessionFilter& filter, std::uint64_t limit, End how, Killed done) override;
  /// The backend has gone down, and its sessions are not to stay (Session::leave_backend). How many were
  /// ended.
  void leave_backend(BackendId backend, Killed done);
  /// Tells one worker to serve the queues of that listener's sockets out and to close them. `closed` comes
  /// when it has none open any more, unless the order is taken back before.
  std::shared_ptr<CloseOrder> close_listener(std::size_t worker, std::uint32_t id,
                                             std::function<void()> closed);
  /// What connections have where the configuration names none.
  void set_unnamed(const UnnamedCongestionControl& unnamed);
  /// The clients that this listener's sockets bring get that one from now on.
  void set_congestion_control(std::uint32_t id, const std::string& name);
  /// How workers wait for events. BusyPoll::Auto is Off where the process has a quota of CPU time.
  void set_busy_poll(BusyPoll how);
  /// The process ends (Worker::wind_up).
  void wind_up();
  /// Duplicates of all open listening sockets, each once, those that are still being closed among them;
  /// nothing when there was no descriptor left for one.
  void duplicate_listeners(std::function<void(std::optional<std::vector<Fd>>)> done);
  /// Closes that listener's sockets on every worker, unserved: another process serves their queues.
  void leave_listener(std::uint32_t id);
  /// From when the fleet has settled.
  void always_expect_children() { expect_children(true); }
  /// As long as it lives children may be started (Worker::expect_children), from when the fleet has settled.
  /// The fleet must outlive it.
  class ChildrenExpected {
   public:
    explicit ChildrenExpected(Fleet& fleet) : fleet_(&fleet) { fleet.expect_children(true); }
    ~ChildrenExpected() {
      if (fleet_ != nullptr) fleet_->expect_children(false);
    }
    ChildrenExpected(ChildrenExpected&& other) noexcept : fleet_(std::exchange(other.fleet_, nullptr)) {}
    ChildrenExpected& operator=(ChildrenExpected&& other) noexcept {
      std::swap(fleet_, other.fleet_);
      return *this;
    }

   private:
    Fleet* fleet_;
  };
  /// Calls back once every worker has done what it was told before.
  void when_settled(std::function<void()> done);
  /// Whether some session still needs a backend, or may need another (Worker::unsettled).
  bool any_unsettled() const;
  /// Any thread.
  void resume_listeners();

 private:
  void expect_children(bool expected);
  Fleet(Loop& control, WorkerShared shared);
  /// Runs `task` on every worker, then `done` on the control thread.
  void on_all(const std::function<void(Worker&)>& task, std::function<void()> done);
  /// The same for a task that takes several turns: each worker says when it has come to its end.
  void on_all_in_steps(const std::function<void(Worker&, std::function<void()> finished)>& task,
                       std::function<void()> done);

  Loop& control_;
  WorkerShared shared_;
  std::unique_ptr<WaitList>
      wait_list_;  // on the first worker's loop; its sessions may leave it to their last
  std::vector<std::unique_ptr<Worker>> workers_;
  /// Says to what comes late on the control thread that this Fleet is still there.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace weir
