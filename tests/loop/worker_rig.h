#pragma once

#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <future>
#include <mutex>

#include "lb/net/signals.h"
#include "lb/net/socket.h"
#include "lb/proxy/worker.h"
#include "tests/support/access_log.h"
#include "tests/support/fake_backend.h"
#include "tests/support/port.h"
#include "tests/support/temp_dir.h"

namespace weir::test {

struct WorkerRigOptions {
  std::uint32_t workers = 1;
  std::uint64_t max_sessions = 1'000;
  std::uint64_t listener_max = 0;
  PoolSettings pool = {.name = "pool", .balance = "round_robin"};
  Doorway doorway = {};
};

/// Workers with one listener and one pool, wired as the daemon wires them, without its control thread.
class WorkerRig {
 public:
  explicit WorkerRig(WorkerRigOptions options = {})
      : options_(std::move(options)),
        admission(options_.max_sessions, descriptors),
        pipes(descriptors),
        arrivals(options_.workers),
        listener("web", "pool", options_.workers) {
    ignore_sigpipe();
    listener.max_connections = options_.listener_max;
    auto log = AccessLog::open(log_path());
    REQUIRE(log);
    access_log_ = std::make_unique<AccessLog>(std::move(*log), options_.workers, [](const std::string&) {});
    shared_.emplace(WorkerShared{.admission = admission,
                                 .pipes = pipes,
                                 .access_log = *access_log_,
                                 .workers = options_.workers,
                                 .on_connects_changed =
                                     [this](const std::shared_ptr<BackendLoad>& load) {
                                       load->report_pending = false;
                                       ++reports;
                                     },
                                 .on_trouble =
                                     [this](std::uint32_t, Trouble trouble) {
                                       ++troubles;
                                       last_trouble = trouble.error;
                                     },
                                 .reclaim =
                                     [this] {
                                       for (auto& worker : workers)
                                         worker->post([&woken = *worker] { woken.release_idle_pipes(); });
                                     },
                                 .arrivals = arrivals});
    admission.wake_by([this] {
      ++wakes;
      for (auto& worker : workers) worker->post([&woken = *worker] { woken.resume_listeners(); });
    });
    for (std::uint32_t i = 0; i < options_.workers; ++i) {
      auto worker = Worker::create(i, *shared_);
      REQUIRE(worker);
      workers.push_back(std::move(*worker));
    }
    wait_list_ = std::make_unique<WaitList>(workers[0]->loop(), [this](const WaitQueue::Call& call) {
      Worker& worker = *workers[call.waiter.worker];
      worker.post([&worker, call] { worker.waiting_room().summon(call); });
    });
    shared_->wait_list = wait_list_.get();
    for (auto& worker : workers) worker->start();
  }
  ~WorkerRig() { end(); }
  WorkerRig(const WorkerRig&) = delete;
  WorkerRig& operator=(const WorkerRig&) = delete;

  /// Ends the workers and with them every session.
  void end() {
    for (auto& worker : workers) worker->stop();
    admission.close();
    wait_list_->close();
    workers.clear();
    access_log_.reset();
  }

  Backend backend(const std::string& name, const std::vector<std::string>& addresses) {
    Backend backend;
    backend.name = name;
    backend.health = Health::Up;
    for (const std::string& text : addresses) backend.addresses.push_back(to_address(text));
    backend.load =
        std::make_shared<BackendLoad>(++last_id_, "pool", name, addresses.front(), options_.workers, queue);
    loads.push_back(backend.load);
    return backend;
  }

  /// Returns when every worker has adopted it.
  void publish(std::vector<Backend> backends) {
    pool_ = Pool::build(options_.pool, std::move(backends), pool_.get(), queue);
    auto table = std::make_shared<const Table>(++generation_, std::vector{pool_});
    on_each_worker([&](Worker& worker) { worker.adopt(table); });
  }
  void serve(const std::vector<std::string>& addresses) {
    std::vector<Backend> backends;
    for (const std::string& text : addresses)
      backends.push_back(backend("b" + std::to_string(backends.size() + 1), {text}));
    publish(std::move(backends));
    listen();
  }

  /// Opens the listener on each worker; `address` then is where.
  void listen() {
    const auto first = listen_tcp(to_address("127.0.0.1:0"), true);
    REQUIRE(first);
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    auto* const generic = reinterpret_cast<sockaddr*>(&storage);
    REQUIRE(::getsockname(first->get(), generic, &size) == 0);
    address = Address(generic, size).to_string();
    std::vector<Fd> sockets;
    sockets.push_back(Fd(::dup(first->get())));
    for (std::size_t i = 1; i < workers.size(); ++i) {
      auto next = listen_tcp(to_address(address), false);
      REQUIRE(next);
      sockets.push_back(std::move(*next));
    }
    std::size_t i = 0;
    on_each_worker([&](Worker& worker) {
      worker.add_listener(1, listener, options_.doorway, std::move(sockets[i++]), false);
    });
  }

  /// Runs `action` on each worker's thread, one after another.
  template <class Action>
  void on_each_worker(Action action) {
    for (auto& worker : workers) {
      auto done = std::make_shared<std::promise<void>>();
      worker->post([&action, &worker = *worker, done] {
        action(worker);
        done->set_value();
      });
      REQUIRE(done->get_future().wait_for(kPatience) == std::future_status::ready);
    }
  }

  void abort_all(End how) {
    visit([how](Session& session) { session.abort(how); });
  }
  /// Each session of each worker, on the worker's thread, one worker after another.
  void visit(const std::function<void(Session&)>& action) {
    for (auto& worker : workers) {
      auto done = std::make_shared<std::promise<void>>();
      worker->post([&worker = *worker, action, done] {
        worker.sweep(
            [action](Session& session) {
              action(session);
              return true;
            },
            [done] { done->set_value(); });
      });
      REQUIRE(done->get_future().wait_for(kPatience) == std::future_status::ready);
    }
  }
  /// Orders it; whoever is in the queues is served after that.
  void close_listeners() {
    on_each_worker([](Worker& worker) { worker.close_all_listeners(); });
  }

  /// Whether every count of sessions comes to nothing.
  bool settles() {
    return eventually([&] {
      return admission.active() == 0 && listener.active == 0 &&
             std::all_of(loads.begin(), loads.end(), [](const auto& load) { return load->active == 0; });
    });
  }

  /// The records of the first `count` sessions to have ended.
  std::vector<AccessLine> lines(std::size_t count) {
    std::vector<AccessLine> seen;
    REQUIRE(eventually([&] {
      seen = parse_access_log(read_file(log_path()));
      return seen.size() >= count;
    }));
    REQUIRE(seen.size() == count);
    return seen;
  }
  std::string log_path() const { return directory_.file("access.log"); }

 private:
  TempDir directory_;
  WorkerRigOptions options_;
  std::unique_ptr<AccessLog> access_log_;
  std::optional<WorkerShared> shared_;
  std::unique_ptr<WaitList> wait_list_;
  std::shared_ptr<const Pool> pool_;
  BackendId last_id_ = 0;
  std::uint64_t generation_ = 0;

 public:
  Descriptors descriptors;
  Admission admission;
  PipeAllowance pipes;
  Arrivals arrivals;
  ListenerLoad listener;
  std::shared_ptr<PoolLoad> queue = std::make_shared<PoolLoad>(1, "pool");
  std::vector<std::shared_ptr<BackendLoad>> loads;
  std::vector<std::unique_ptr<Worker>> workers;
  std::string address;
  std::atomic<std::size_t> reports{0};
  std::atomic<std::size_t> troubles{0};
  std::atomic<int> last_trouble{0};
  std::atomic<std::size_t> wakes{0};
};

inline std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

/// What the calling process has burnt on all its threads.
inline std::chrono::nanoseconds cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace weir::test
