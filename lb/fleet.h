#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "lb/control/workers.h"
#include "lb/net/loop.h"
#include "lb/proxy/worker.h"

namespace weir {

/// All workers, as the control thread sees them: it owns them, speaks to all at once and hears of it when the
/// last has answered. Control thread only, except resume_listeners().
class Fleet final : public Workers {
 public:
  /// `control` runs the callbacks. `shared.wake_all` is set here.
  static Result<std::unique_ptr<Fleet>> create(Loop& control, WorkerShared shared);
  ~Fleet() override;

  void start();
  std::size_t size() const { return workers_.size(); }
  Worker& worker(std::size_t index) { return *workers_[index]; }

  /// `adopted` comes once for each worker.
  void adopt(const std::shared_ptr<const Table>& table, std::function<void(std::uint32_t worker)> adopted);
  void list_sessions(const SessionFilter& filter, std::size_t limit, Listed done) override;
  void kill_sessions(const SessionFilter& filter, std::uint64_t limit, Killed done) override;
  /// Serves the kernel's queues out and closes every listening socket.
  void close_listeners(std::function<void()> done);
  /// Duplicates of all open listening sockets, each once; nothing when there was no descriptor left for one.
  void duplicate_listeners(std::function<void(std::optional<std::vector<Fd>>)> done);
  /// Closes that listener's sockets on every worker, unserved: another process serves their queues.
  void leave_listener(std::uint32_t id);
  /// Before a child is started, and after it has been (Worker::expect_children): the first counts once the
  /// fleet has settled.
  void expect_children(bool expected);
  /// Calls back once every worker has done what it was told before.
  void when_settled(std::function<void()> done);
  /// Any thread.
  void resume_listeners();

 private:
  Fleet(Loop& control, WorkerShared shared);
  /// Runs `task` on every worker, then `done` on the control thread.
  void on_all(const std::function<void(Worker&)>& task, std::function<void()> done);

  Loop& control_;
  WorkerShared shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace weir
