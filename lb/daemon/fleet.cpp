#include "lb/daemon/fleet.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "lb/config/cpus.h"
#include "lb/net/inherited.h"

namespace weir {
namespace {

SessionId id_of(const Worker& worker, const Session& session) {
  return {worker.index() + 1, session.number()};
}

/// By the rules of now; of a listener that is nowhere any more those that it had last.
bool is_denied(const SessionFilter& filter, const Session& session) {
  if (filter.doors != nullptr)
    if (const auto door = filter.doors->find(session.listener().load().name); door != filter.doors->end())
      return session.is_denied_by(door->second.get());
  return session.is_denied();
}

bool matches(const SessionFilter& filter, const Worker& worker, const Session& session) {
  return filter.matches(id_of(worker, session), session.pool_in_view(), session.backend(),
                        session.client_address()) &&
         (!filter.accepted_before || session.times().accepted < *filter.accepted_before) &&
         (!filter.denied || is_denied(filter, session)) && (!filter.movable || session.is_movable());
}

/// At one moment for the sessions of all workers, so that their order is that of their accepts.
std::chrono::nanoseconds age_of(std::chrono::nanoseconds now, const Session& session) {
  return std::max(now - session.times().accepted, std::chrono::nanoseconds(0));
}

/// Activity is known by the millisecond in which it was: no session is idle for longer than it is old.
Millis idle_of(std::chrono::nanoseconds now, const Session& session) {
  const Millis last(static_cast<std::int64_t>(session.times().last_activity_ms));
  const auto idle =
      std::clamp<std::chrono::nanoseconds>(now - last, std::chrono::nanoseconds(0), age_of(now, session));
  return std::chrono::duration_cast<Millis>(idle);
}

std::uint64_t rank_of(SessionOrder order, std::chrono::nanoseconds now, const Session& session) {
  return rank(order, session.bytes_to_backend() + session.bytes_to_client(), age_of(now, session),
              idle_of(now, session));
}

SessionInfo describe(std::chrono::nanoseconds now, const Worker& worker, const Session& session) {
  SessionInfo info;
  info.id = id_of(worker, session);
  info.listener = session.listener().load().name;
  info.client = session.client_address();
  info.pool = session.pool_in_view();
  if (session.backend() != nullptr) info.backend = session.backend()->name;
  info.state = session.in_queue()      ? "queued"
               : session.connecting()  ? "connecting"
               : session.closing()     ? "closing"
               : session.half_closed() ? "half_closed"
                                       : "relaying";
  info.age = std::chrono::duration_cast<Millis>(age_of(now, session));
  info.idle = idle_of(now, session);
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
  fleet->wait_list_ = std::make_unique<WaitList>(
      fleet->workers_[0]->loop(), [fleet = fleet.get()](const WaitQueue::Call& call) {
        Worker& worker = *fleet->workers_[call.waiter.worker];
        worker.post([&worker, call] { worker.waiting_room().summon(call); });
      });
  fleet->shared_.wait_list = fleet->wait_list_.get();
  return fleet;
}

Fleet::Fleet(Loop& control, WorkerShared shared) : control_(control), shared_(std::move(shared)) {
  shared_.admission.wake_by([this] { resume_listeners(); });
  shared_.give_way = [this](std::uint32_t index) {
    workers_[index]->post([&worker = *workers_[index]] { worker.let_one_give_way(); });
  };
  shared_.reclaim = [this] {
    for (auto& worker : workers_) worker->post([&worker = *worker] { worker.release_idle_pipes(); });
  };
}

Fleet::~Fleet() {
  // All threads first: a worker that ends a session reaches the others.
  for (auto& worker : workers_) worker->stop();
  shared_.admission.close();
  wait_list_->close();
}

bool Fleet::any_unsettled() const {
  return std::ranges::any_of(workers_, [](const auto& worker) { return worker->unsettled() > 0; });
}

void Fleet::start() {
  for (auto& worker : workers_) worker->start();
}

void Fleet::on_all(const std::function<void(Worker&)>& task, std::function<void()> done) {
  on_all_in_steps(
      [task](Worker& worker, const std::function<void()>& finished) {
        task(worker);
        finished();
      },
      std::move(done));
}

void Fleet::on_all_in_steps(const std::function<void(Worker&, std::function<void()> finished)>& task,
                            std::function<void()> done) {
  auto left = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  auto last = std::make_shared<std::function<void()>>(std::move(done));
  for (auto& worker : workers_) {
    worker->post([this, &worker = *worker, task, left, last] {
      task(worker, [this, left, last] {
        if (left->fetch_sub(1) == 1) control_.post([last] { (*last)(); });
      });
    });
  }
}

void Fleet::set_unnamed(const UnnamedCongestionControl& unnamed) {
  on_all([unnamed](Worker& worker) { worker.set_unnamed(unnamed); }, [] {});
}

void Fleet::set_congestion_control(std::uint32_t id, const std::string& name) {
  on_all([id, name](Worker& worker) { worker.set_congestion_control(id, name); }, [] {});
}

void Fleet::set_busy_poll(BusyPoll how) {
  if (how == BusyPoll::Auto && cpu_quota()) how = BusyPoll::Off;
  on_all([how](Worker& worker) { worker.set_busy_poll(how); }, [] {});
}

void Fleet::adopt(const std::shared_ptr<const Table>& table,
                  const std::function<void(std::uint32_t)>& adopted) {
  for (auto& worker : workers_) {
    worker->post([this, &worker = *worker, table, adopted] {
      worker.adopt(table);
      control_.post([adopted, index = worker.index()] { adopted(index); });
    });
  }
}

void Fleet::list_sessions(const SessionFilter& filter, SessionOrder order, std::size_t limit, Listed done) {
  /// A heap: of those that are kept the last one is in front.
  struct Part {
    std::vector<std::pair<std::uint64_t, SessionInfo>> sessions;
    std::uint64_t found = 0;
  };
  const auto first = [](const auto& a, const auto& b) { return a.first > b.first; };
  auto parts = std::make_shared<std::vector<Part>>(workers_.size());
  const auto now = control_.refresh_now();
  on_all_in_steps(
      [parts, filter, order, limit, first, now](Worker& worker, std::function<void()> finished) {
        Part& part = (*parts)[worker.index()];
        worker.sweep(
            [&worker, &part, filter, order, limit, first, now](Session& session) {
              if (!matches(filter, worker, session)) return false;
              ++part.found;
              const bool full = part.sessions.size() == limit;
              const std::uint64_t place = rank_of(order, now, session);
              if (full && (limit == 0 || place <= part.sessions.front().first)) return false;
              if (full) {
                std::ranges::pop_heap(part.sessions, first);
                part.sessions.pop_back();
              }
              part.sessions.emplace_back(place, describe(now, worker, session));
              std::ranges::push_heap(part.sessions, first);
              return true;
            },
            std::move(finished));
      },
      [parts, limit, first, done = std::move(done)] {
        Part all;
        for (Part& part : *parts) {
          all.found += part.found;
          std::ranges::move(part.sessions, std::back_inserter(all.sessions));
        }
        std::ranges::stable_sort(all.sessions, first);
        if (all.sessions.size() > limit) all.sessions.resize(limit);
        std::vector<SessionInfo> list;
        list.reserve(all.sessions.size());
        for (auto& [place, session] : all.sessions) list.push_back(std::move(session));
        done(std::move(list), all.found);
      });
}

void Fleet::count_by_client(const SessionFilter& filter, Counted done) {
  using Clients = std::map<std::string, ClientSessions, std::less<>>;
  auto parts = std::make_shared<std::vector<Clients>>(workers_.size());
  on_all_in_steps(
      [parts, filter](Worker& worker, std::function<void()> finished) {
        Clients& part = (*parts)[worker.index()];
        worker.sweep(
            [&worker, &part, filter](Session& session) {
              if (!matches(filter, worker, session)) return false;
              const ClientAddress& address = session.client_address();
              ClientSessions& client = part[address.ip().empty() ? "unix" : address.ip_to_string()];
              ++client.sessions;
              client.bytes_to_backend += session.bytes_to_backend();
              client.bytes_to_client += session.bytes_to_client();
              return false;
            },
            std::move(finished));
      },
      [parts, done = std::move(done)] {
        Clients all;
        for (const Clients& part : *parts)
          for (const auto& [address, client] : part) {
            ClientSessions& sum = all[address];
            sum.sessions += client.sessions;
            sum.bytes_to_backend += client.bytes_to_backend;
            sum.bytes_to_client += client.bytes_to_client;
          }
        std::vector<ClientSessions> list;
        list.reserve(all.size());
        for (auto& [address, client] : all) {
          client.client = address;
          list.push_back(std::move(client));
        }
        done(std::move(list));
      });
}

void Fleet::count_limited(LimitedCounted done) {
  auto parts = std::make_shared<std::vector<SessionsByClient>>(workers_.size());
  on_all_in_steps(
      [parts](Worker& worker, std::function<void()> finished) {
        SessionsByClient& part = (*parts)[worker.index()];
        worker.sweep(
            [&part](Session& session) {
              if (session.over() || !session.has_client_place()) return false;
              ++part[{session.listener().load().name, session.client_address().ip_to_string()}];
              return false;
            },
            std::move(finished));
      },
      [parts, done = std::move(done)] {
        SessionsByClient all;
        for (const SessionsByClient& part : *parts)
          for (const auto& [key, sessions] : part) all[key] += sessions;
        done(std::move(all));
      });
}

void Fleet::longest_idle(Idled done) {
  using Longest = std::unordered_map<BackendId, Millis>;
  auto parts = std::make_shared<std::vector<Longest>>(workers_.size());
  const auto now = control_.refresh_now();
  on_all_in_steps(
      [parts, now](Worker& worker, std::function<void()> finished) {
        Longest& part = (*parts)[worker.index()];
        worker.sweep(
            [&part, now](Session& session) {
              if (session.backend() == nullptr) return false;
              Millis& longest = part[session.backend()->id];
              longest = std::max(longest, idle_of(now, session));
              return false;
            },
            std::move(finished));
      },
      [parts, done = std::move(done)] {
        Longest all;
        for (const Longest& part : *parts)
          for (const auto& [id, idle] : part) all[id] = std::max(all[id], idle);
        done(std::move(all));
      });
}

void Fleet::kill_sessions(const SessionFilter& filter, std::uint64_t limit, End how, Killed done) {
  auto killed = std::make_shared<std::atomic<std::uint64_t>>(0);
  on_all_in_steps(
      [killed, filter, limit, how](Worker& worker, std::function<void()> finished) {
        worker.sweep(
            [&worker, killed, filter, limit, how](Session& session) {
              if (!matches(filter, worker, session)) return false;
              if (killed->fetch_add(1) >= limit) {
                killed->fetch_sub(1);
                return false;
              }
              session.abort(how);
              return true;
            },
            std::move(finished));
      },
      [killed, done = std::move(done)] { done(killed->load()); });
}

void Fleet::leave_backend(BackendId backend, Killed done) {
  auto killed = std::make_shared<std::atomic<std::uint64_t>>(0);
  on_all_in_steps(
      [killed, backend](Worker& worker, std::function<void()> finished) {
        worker.sweep(
            [killed, backend](Session& session) {
              session.leave_hedge(backend);
              if (session.backend() == nullptr || session.backend()->id != backend) return false;
              const Session::Leaving how = session.leave_backend();
              if (how == Session::Leaving::Ended) killed->fetch_add(1);
              return how != Session::Leaving::Stays;
            },
            std::move(finished));
      },
      [killed, done = std::move(done)] { done(killed->load()); });
}

std::shared_ptr<CloseOrder> Fleet::close_listener(std::size_t worker, std::uint32_t id,
                                                  std::function<void()> closed) {
  auto order = std::make_shared<CloseOrder>(
      [&control = control_, alive = std::weak_ptr(alive_), closed = std::move(closed)] {
        control.post([alive, closed] {
          if (!alive.expired()) closed();
        });
      });
  workers_[worker]->post([&worker = *workers_[worker], id, order] { worker.close_listener(id, order); });
  return order;
}

void Fleet::wind_up() {
  for (auto& worker : workers_) worker->post([&worker = *worker] { worker.wind_up(); });
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
