#include "lb/fleet.h"

#include <atomic>
#include <set>
#include <utility>

#include "lb/net/inherited.h"

namespace weir {
namespace {

SessionId id_of(const Worker& worker, const Session& session) {
  return {worker.index() + 1, session.number()};
}

bool matches(const SessionFilter& filter, const Worker& worker, const Session& session) {
  return filter.matches(id_of(worker, session), session.listener().load().pool, session.backend(),
                        session.client_address());
}

SessionInfo describe(Worker& worker, const Session& session) {
  const auto now = worker.loop().now();
  const auto times = session.times();
  SessionInfo info;
  info.id = id_of(worker, session);
  info.listener = session.listener().load().name;
  info.client = session.client_address();
  info.pool = session.listener().load().pool;
  if (session.backend() != nullptr) info.backend = session.backend()->name;
  info.state = session.connecting() ? "connecting" : session.closing() ? "closing" : "relaying";
  info.age = std::chrono::duration_cast<Millis>(now - times.accepted);
  info.idle = Millis(static_cast<std::int64_t>(worker.now_ms() - times.last_activity_ms));
  info.bytes_to_backend = session.bytes_to_backend();
  info.bytes_to_client = session.bytes_to_client();
  return info;
}

}  // namespace

Result<std::unique_ptr<Fleet>> Fleet::create(Loop& control, WorkerShared shared) {
  std::unique_ptr<Fleet> fleet(new Fleet(control, std::move(shared)));
  for (std::uint32_t i = 0; i < fleet->shared_.workers; ++i) {
    auto worker = Worker::create(i, fleet->shared_);
    if (!worker) return tl::unexpected(worker.error());
    fleet->workers_.push_back(std::move(*worker));
  }
  return fleet;
}

Fleet::Fleet(Loop& control, WorkerShared shared) : control_(control), shared_(std::move(shared)) {
  shared_.wake_all = [this] { resume_listeners(); };
}

Fleet::~Fleet() {
  // All threads first: a worker that ends a session wakes the others.
  for (auto& worker : workers_) worker->stop();
}

void Fleet::start() {
  for (auto& worker : workers_) worker->start();
}

void Fleet::on_all(const std::function<void(Worker&)>& task, std::function<void()> done) {
  auto left = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  auto last = std::make_shared<std::function<void()>>(std::move(done));
  for (auto& worker : workers_) {
    worker->post([this, &worker = *worker, task, left, last] {
      task(worker);
      if (left->fetch_sub(1) == 1) control_.post([last] { (*last)(); });
    });
  }
}

void Fleet::adopt(const std::shared_ptr<const Table>& table, std::function<void(std::uint32_t)> adopted) {
  for (auto& worker : workers_) {
    worker->post([this, &worker = *worker, table, adopted] {
      worker.adopt(table);
      control_.post([adopted, index = worker.index()] { adopted(index); });
    });
  }
}

void Fleet::list_sessions(const SessionFilter& filter, std::size_t limit, Listed done) {
  struct Part {
    std::vector<SessionInfo> sessions;
    std::uint64_t found = 0;
  };
  auto parts = std::make_shared<std::vector<Part>>(workers_.size());
  on_all(
      [parts, filter, limit](Worker& worker) {
        Part& part = (*parts)[worker.index()];
        worker.visit_sessions([&](const Session& session) {
          if (!matches(filter, worker, session)) return;
          if (++part.found <= limit) part.sessions.push_back(describe(worker, session));
        });
      },
      [parts, limit, done = std::move(done)] {
        Part all;
        for (Part& part : *parts) {
          all.found += part.found;
          for (SessionInfo& session : part.sessions)
            if (all.sessions.size() < limit) all.sessions.push_back(std::move(session));
        }
        done(std::move(all.sessions), all.found);
      });
}

void Fleet::kill_sessions(const SessionFilter& filter, std::uint64_t limit, Killed done) {
  auto killed = std::make_shared<std::atomic<std::uint64_t>>(0);
  on_all(
      [killed, filter, limit](Worker& worker) {
        worker.abort_sessions(
            [&](const Session& session) {
              if (!matches(filter, worker, session)) return false;
              if (killed->fetch_add(1) < limit) return true;
              killed->fetch_sub(1);
              return false;
            },
            End::Killed);
      },
      [killed, done = std::move(done)] { done(killed->load()); });
}

void Fleet::close_listeners(std::function<void()> done) {
  on_all([](Worker& worker) { worker.close_all_listeners(); }, std::move(done));
}

void Fleet::leave_listener(std::uint32_t id) {
  for (auto& worker : workers_) worker->post([&worker = *worker, id] { worker.leave_listener(id); });
}

void Fleet::duplicate_listeners(std::function<void(std::optional<std::vector<Fd>>)> done) {
  auto parts = std::make_shared<std::vector<std::vector<Fd>>>(workers_.size());
  on_all([parts](Worker& worker) { worker.duplicate_listeners((*parts)[worker.index()]); },
         [parts, done = std::move(done)] {
           std::set<std::uint64_t> seen;
           std::vector<Fd> all;
           for (auto& part : *parts)
             for (Fd& fd : part) {
               if (!fd) return done(std::nullopt);
               if (seen.insert(socket_identity(fd.get())).second) all.push_back(std::move(fd));
             }
           done(std::move(all));
         });
}

void Fleet::expect_children(bool expected) {
  for (auto& worker : workers_)
    worker->post([&worker = *worker, expected] { worker.expect_children(expected); });
}

void Fleet::when_settled(std::function<void()> done) {
  on_all([](Worker&) {}, std::move(done));
}

void Fleet::resume_listeners() {
  for (auto& worker : workers_) worker->post([&worker = *worker] { worker.resume_listeners(); });
}

}  // namespace weir
