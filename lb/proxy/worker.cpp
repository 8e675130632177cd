#include "lb/proxy/worker.h"

#include <fcntl.h>
#include <pthread.h>

#include <fmt/format.h>
#include <algorithm>

#include "lb/net/socket.h"

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

Worker::~Worker() {
  stop();
  deadlines_.for_each([](Deadline& deadline) { Session::of(deadline).abort(End::Shutdown); });
  dispose_of_ended();
}

void Worker::start() {
  thread_ = std::thread([this] { loop_->run(); });
  pthread_setname_np(thread_.native_handle(), fmt::format("weir-worker-{}", index_ + 1).c_str());
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  loop_->stop();
  thread_.join();
}

std::uint64_t Worker::now_ms() const {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Millis>(loop_->now()).count());
}

void Worker::adopt(std::shared_ptr<const Table> table) {
  if (table->generation >= table_->generation) table_ = std::move(table);
  for (auto& listener : listeners_) listener->set_pool(table_->find(listener->load().pool));
}

std::vector<Listener*> Worker::find_listeners(std::uint32_t id) const {
  std::vector<Listener*> found;
  for (const auto& listener : listeners_)
    if (listener->id() == id && listener->is_open()) found.push_back(listener.get());
  return found;
}

void Worker::add_listener(std::uint32_t id, ListenerLoad& load, Fd fd, bool shared) {
  auto& listener =
      listeners_.emplace_back(std::make_unique<Listener>(*this, id, load, std::move(fd), shared));
  listener->set_pool(table_->find(load.pool));
  listener->open();
}

void Worker::move_listener(std::uint32_t id, ListenerLoad& load) {
  for (Listener* const from : find_listeners(id)) {
    const bool shared = from->is_shared();
    add_listener(id, load, from->release(), shared);
  }
}

void Worker::close_listener(std::uint32_t id) {
  for (Listener* const listener : find_listeners(id)) listener->close();
}

void Worker::leave_listener(std::uint32_t id) {
  for (Listener* const listener : find_listeners(id)) listener->leave();
}

void Worker::duplicate_listeners(std::vector<Fd>& out) const {
  for (const auto& listener : listeners_)
    if (listener->is_open() && !listener->is_closing())
      out.emplace_back(fcntl(listener->fd(), F_DUPFD_CLOEXEC, 3));
}

void Worker::close_all_listeners() {
  for (auto& listener : listeners_) listener->close();
}

void Worker::resume_listeners() {
  retry_listeners_ms_ = 0;
  for (auto& listener : listeners_) listener->resume();
}

std::size_t Worker::abort_sessions(const std::function<bool(const Session&)>& which, End how) {
  std::size_t aborted = 0;
  deadlines_.for_each([&](Deadline& deadline) {
    Session& session = Session::of(deadline);
    if (!which(session)) return;
    session.abort(how);
    ++aborted;
  });
  // Whoever asked for it may look at the counts as soon as this is answered.
  hand_on_places();
  return aborted;
}

void Worker::visit_sessions(const std::function<void(const Session&)>& visit) {
  deadlines_.for_each([&](Deadline& deadline) { visit(Session::of(deadline)); });
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
  ended_.emplace_back(&session);
}

void Worker::on_trouble(Trouble trouble) {
  if (trouble_said_ms_ != 0 && now_ms() < trouble_said_ms_ + 1000) return;
  trouble_said_ms_ = now_ms();
  shared_.on_trouble(index_, trouble);
}

void Worker::dispose_of_ended() {
  if (ended_.empty()) return;
  std::erase_if(run_again_, [](const Session* session) { return session->over(); });
  for (const auto& session : ended_) session->give_sockets(closing_);
  if (children_expected())
    for (const Fd& fd : closing_) loop_->unwatch(fd.get());
  close_together(closing_);
  // A place is free once the descriptors are.
  for (const auto& session : ended_) {
    --session->listener().sessions;
    shared_.gate.leave(session->listener().load());
  }
  ended_.clear();
  std::erase_if(listeners_,
                [](const auto& listener) { return !listener->is_open() && listener->sessions == 0; });
}

void Worker::hand_on_places() {
  if (ended_.empty()) return;
  dispose_of_ended();
  if (shared_.gate.take_waiting()) shared_.wake_all();
  if (retry_listeners_ms_ != 0) resume_listeners();
}

void Worker::resume_queued() {
  running_.swap(run_again_);
  auto next = running_.begin();
  for (; next != running_.end() && pump_context_.moved_bytes < kBulkBytes; ++next) {
    (*next)->queued = false;
    (*next)->resume();
  }
  run_again_.insert(run_again_.begin(), next, running_.end());
  running_.clear();
}

Millis Worker::on_turn_end() {
  ++turn_;
  hand_on_places();
  pump_context_.moved_bytes = 0;
  if (!run_again_.empty()) resume_queued();
  pump_context_.moved_bytes = 0;
  while (Deadline* const deadline = deadlines_.expire_one(now_ms())) Session::of(*deadline).on_deadline();
  hand_on_places();
  if (retry_listeners_ms_ != 0 && now_ms() >= retry_listeners_ms_) resume_listeners();
  // What a listener accepted just now may have ended at once.
  if (!run_again_.empty() || !ended_.empty()) return Millis(0);
  auto next = deadlines_.next_ms();
  if (retry_listeners_ms_ != 0) next = std::min(next.value_or(retry_listeners_ms_), retry_listeners_ms_);
  if (!next) return Millis(-1);
  return Millis(*next > now_ms() ? *next - now_ms() : 0);
}

}  // namespace weir
