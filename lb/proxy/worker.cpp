#include "lb/proxy/worker.h"

#include <pthread.h>

#include <fmt/format.h>
#include <algorithm>

namespace weir {

Result<std::unique_ptr<Worker>> Worker::create(std::uint32_t index, WorkerShared& shared) {
  auto loop = Loop::create();
  if (!loop) return tl::unexpected(loop.error());
  return std::unique_ptr<Worker>(new Worker(index, shared, std::move(*loop)));
}

Worker::Worker(std::uint32_t index, WorkerShared& shared, std::unique_ptr<Loop> loop)
    : index_(index),
      shared_(shared),
      loop_(std::move(loop)),
      buffer_(std::make_unique<std::byte[]>(kReadBufferBytes)),
      pipes_(shared.workers),
      pump_context_{{buffer_.get(), kReadBufferBytes}, pipes_},
      deadlines_(now_ms()),
      table_(std::make_shared<Table>()) {
  loop_->set_turn(this);
}

void Worker::halt() {
  if (!thread_.joinable()) return;
  loop_->stop();
  thread_.join();
}

Worker::~Worker() {
  halt();
  deadlines_.for_each([](Deadline& deadline) { Session::of(deadline).abort(End::Shutdown); });
  dispose_of_ended();
}

void Worker::start() {
  thread_ = std::thread([this] { loop_->run(); });
  pthread_setname_np(thread_.native_handle(), fmt::format("weir-worker-{}", index_ + 1).c_str());
}

std::uint64_t Worker::now_ms() const {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Millis>(loop_->now()).count());
}

void Worker::adopt(std::shared_ptr<const Table> table, std::function<void()> adopted) {
  post([this, table = std::move(table), adopted = std::move(adopted)]() mutable {
    if (table->generation >= table_->generation) table_ = std::move(table);
    for (auto& listener : listeners_) listener->set_pool(table_->find(listener->load().pool));
    if (adopted) adopted();
  });
}

void Worker::add_listener(ListenerLoad& load, Fd fd, bool shared, std::function<void(Result<void>)> done) {
  post([this, &load, holder = std::make_shared<Fd>(std::move(fd)), shared, done = std::move(done)] {
    auto listener = std::make_unique<Listener>(*this, load, std::move(*holder), shared);
    listener->set_pool(table_->find(load.pool));
    const auto opened = listener->open();
    if (opened) listeners_.push_back(std::move(listener));
    done(opened);
  });
}

void Worker::close_listeners(std::function<bool(const ListenerLoad&)> which, std::function<void()> done) {
  post([this, which = std::move(which), done = std::move(done)] {
    for (auto& listener : listeners_)
      if (which(listener->load())) listener->close();
    done();
  });
}

void Worker::abort_sessions(std::function<bool(const Session&)> which, End end,
                            std::function<void(std::size_t)> done) {
  post([this, which = std::move(which), end, done = std::move(done)] {
    std::size_t aborted = 0;
    deadlines_.for_each([&](Deadline& deadline) {
      Session& session = Session::of(deadline);
      if (!which(session)) return;
      session.abort(end);
      ++aborted;
    });
    done(aborted);
  });
}

void Worker::visit_sessions(std::function<void(const Session&)> visit, std::function<void()> done) {
  post([this, visit = std::move(visit), done = std::move(done)] {
    deadlines_.for_each([&](Deadline& deadline) { visit(Session::of(deadline)); });
    done();
  });
}

void Worker::resume_listeners() {
  post([this] { resume_listeners_here(); });
}

void Worker::resume_listeners_here() {
  retry_listeners_ms_ = 0;
  for (auto& listener : listeners_) listener->resume();
}

void Worker::start_session(Listener& listener, Fd client, const ClientAddress& address) {
  ++listener.sessions;
  // Owned by its entry in the wheel until it is over: a session always has a deadline.
  auto* const session = new Session(*this, listener, std::move(client), address, next_session_++);
  session->start();
}

void Worker::run_again(Session& session) {
  if (session.queued) return;
  session.queued = true;
  run_again_.push_back(&session);
}

void Worker::on_session_over(Session& session) {
  --session.listener().sessions;
  shared_.gate.leave(session.listener().load());
  ended_.emplace_back(&session);
}

void Worker::on_trouble(Trouble trouble) {
  if (trouble_said_ms_ != 0 && now_ms() < trouble_said_ms_ + 1000) return;
  trouble_said_ms_ = now_ms();
  shared_.on_trouble(index_, trouble);
}

void Worker::dispose_of_ended() {
  std::erase_if(run_again_, [](const Session* session) { return session->over(); });
  ended_.clear();
  std::erase_if(listeners_,
                [](const auto& listener) { return !listener->is_open() && listener->sessions == 0; });
}

Millis Worker::on_turn_end() {
  ++turn_;
  running_.swap(run_again_);
  for (Session* const session : running_) {
    session->queued = false;
    session->resume();
  }
  running_.clear();
  while (Deadline* const deadline = deadlines_.expire_one(now_ms())) Session::of(*deadline).on_deadline();
  if (!ended_.empty()) {
    if (shared_.gate.take_waiting()) shared_.wake_all();
    if (retry_listeners_ms_ != 0) resume_listeners_here();
    dispose_of_ended();
  }
  if (retry_listeners_ms_ != 0 && now_ms() >= retry_listeners_ms_) resume_listeners_here();
  if (!run_again_.empty()) return Millis(0);
  auto next = deadlines_.next_ms();
  if (retry_listeners_ms_ != 0) next = std::min(next.value_or(retry_listeners_ms_), retry_listeners_ms_);
  if (!next) return Millis(-1);
  return Millis(*next > now_ms() ? *next - now_ms() : 0);
}

}  // namespace weir
