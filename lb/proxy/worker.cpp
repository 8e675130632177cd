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
      pipes_(shared.pipes),
      pump_context_{{buffer_.get(), kReadBufferBytes}, pipes_},
      deadlines_(now_ms()),
      table_(std::make_shared<const Table>()),
      waiting_room_(index, shared.admission, shared.wait_list) {
  if (shared_.loops != nullptr) loops_.emplace(*shared_.loops);
  loop_->set_turn(this);
}

Worker::~Worker() {
  stop();
  sweeper_.abandon();
  for (ListPlace* place = sessions_.first(); place != nullptr; place = sessions_.after(*place))
    Session::of(*place).abort(End::Shutdown);
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

void Worker::adopt(std::shared_ptr<const Table> table) {
  if (table->generation >= table_->generation) table_ = std::move(table);
  give_pools();
}

void Worker::give_pools() {
  bool changed = false;
  for (auto& listener : listeners_) {
    auto pool = table_->find(listener->load().pool);
    // Its socket has moved on, and its pool is no more: who still looks for a backend has the new one's.
    if (pool == nullptr && !listener->is_open())
      for (const Listener* const heir : find_listeners(listener->id()))
        pool = table_->find(heir->load().pool);
    if (pool != nullptr) changed = listener->set_pool(std::move(pool)) || changed;
    changed = listener->take_route_pools(*table_) || changed;
  }
  if (!changed) return;
  waiting_room_.pools_changed();
  more_verdicts_ = work_left_ = true;
}

std::vector<Listener*> Worker::find_listeners(std::uint32_t id) const {
  std::vector<Listener*> found;
  for (const auto& listener : listeners_)
    if (listener->id() == id && listener->is_open()) found.push_back(listener.get());
  return found;
}

void Worker::add_listener(std::uint32_t id, ListenerLoad& load, Doorway doorway, Fd fd, bool shared) {
  auto& listener = listeners_.emplace_back(
      std::make_unique<Listener>(*this, id, load, std::move(fd), shared, table_->find(load.pool)));
  listener->set_doorway(std::move(doorway), *table_);
  listener->open();
}

void Worker::set_doorway(std::uint32_t id, const Doorway& doorway) {
  for (Listener* const listener : find_listeners(id)) listener->set_doorway(doorway, *table_);
  resume_listeners();
}

void Worker::set_congestion_control(std::uint32_t id, const std::string& name) {
  // One that is set goes on when the system's changes.
  for (const Listener* const listener : find_listeners(id))
    if (congestion_control_of(listener->fd()) != name) weir::set_congestion_control(listener->fd(), name);
}

void Worker::move_listener(std::uint32_t id, ListenerLoad& load, const Doorway& doorway) {
  if (const auto close = find_close(id); close != closes_.end()) closes_.erase(close);
  for (Listener* const from : find_listeners(id)) {
    const bool shared = from->is_shared();
    std::erase(closing_listeners_, from);
    add_listener(id, load, doorway, from->release(), shared);
  }
  give_pools();
}

std::vector<Worker::Close>::iterator Worker::find_close(std::uint32_t id) {
  return std::find_if(closes_.begin(), closes_.end(), [&](const Close& close) { return close.id == id; });
}

void Worker::close_listener(std::uint32_t id, std::shared_ptr<CloseOrder> order) {
  // One that is there has been taken back.
  if (const auto close = find_close(id); close != closes_.end()) closes_.erase(close);
  const auto listeners = find_listeners(id);
  if (listeners.empty()) {
    if (order->begin()) order->done();
    return;
  }
  closes_.push_back({id, std::move(order)});
  for (Listener* const listener : listeners) close(*listener);
}

void Worker::close(Listener& listener) {
  if (!listener.is_closing()) closing_listeners_.push_back(&listener);
  listener.close();
  work_left_ = true;
}

void Worker::set_shut(std::uint32_t id, bool shut) {
  for (Listener* const listener : find_listeners(id)) {
    const bool was_closing = listener->is_closing();
    listener->set_shut(shut);
    if (listener->is_closing() && !was_closing) closing_listeners_.push_back(listener);
    if (!listener->is_closing() && was_closing) std::erase(closing_listeners_, listener);
  }
  work_left_ = true;
}

void Worker::close_all_listeners() {
  for (auto& listener : listeners_)
    if (listener->is_open()) close(*listener);
}

void Worker::step_closing_listeners() {
  for (Listener* const listener : closing_listeners_) listener->close_step();
  std::erase_if(closing_listeners_, [](const Listener* listener) { return !listener->is_closing(); });
}

bool Worker::may_close(const Listener& listener) {
  const auto close = find_close(listener.id());
  return close == closes_.end() || find_listeners(listener.id()).size() > 1 || close->order->begin();
}

void Worker::on_listener_closed(std::uint32_t id) {
  const auto close = find_close(id);
  if (close == closes_.end() || !find_listeners(id).empty()) return;
  const auto order = std::move(close->order);
  closes_.erase(close);
  order->done();
}

void Worker::leave_listener(std::uint32_t id) {
  for (Listener* const listener : find_listeners(id)) {
    std::erase(closing_listeners_, listener);
    listener->leave();
  }
}

void Worker::duplicate_listeners(std::vector<Fd>& out) const {
  for (const auto& listener : listeners_)
    if (listener->is_open()) out.emplace_back(fcntl(listener->fd(), F_DUPFD_CLOEXEC, 3));
}

void Worker::resume_listeners() {
  retry_listeners_ms_ = 0;
  tokens_ms_ = kNever;
  for (auto& listener : listeners_) listener->resume();
}

void Worker::release_idle_pipes() {
  if (pipes_.release_idle()) shared_.admission.wake_waiting();
}

void Worker::on_descriptors_short() {
  // The others only where it may help: their pipes are what is taken beyond the sessions' descriptors.
  if (pipes_.release_idle()) return shared_.admission.wake_waiting();
  if (shared_.pipes.bytes() > 0) shared_.reclaim();
}

void Worker::wind_up() {
  winding_up_ = true;
  sweep(
      [](Session& session) {
        if (!session.hearing_out()) return false;
        session.finish_hearing_out();
        return true;
      },
      [] {});
}

void Worker::sweep(Sweeper::Visit visit, Sweeper::Done done) {
  sweeper_.begin(sessions_, next_session_, std::move(visit), std::move(done));
  work_left_ = true;
}

void Worker::start_session(Listener& listener, Permit permit, Fd client, const ClientAddress& address) {
  ++listener.sessions;
  auto* const session =
      new Session(*this, listener, std::move(permit), std::move(client), address, next_session_++);
  sessions_.append(session->place());
  // A client that has come round through a backend that leads back to Weir.
  if (loops_ && loops_->comes_back(address, now_ms())) return session->abort(End::NoBackend);
  session->start();
}

std::uint16_t Worker::timeouts_of(const PoolSettings& settings) {
  const auto clamp = [](Millis duration) {
    return static_cast<std::uint32_t>(std::min(std::int64_t{duration.count()}, kLongestTimeoutMs));
  };
  const Timeouts wanted{clamp(settings.idle_timeout), clamp(settings.half_close_timeout),
                        clamp(settings.max_lifetime)};
  const auto place = static_cast<std::size_t>(std::ranges::find(timeouts_, wanted) - timeouts_.begin());
  if (place < timeouts_.size()) return static_cast<std::uint16_t>(place);
  // More than any sequence of files has: from then on the last ones are everybody's.
  if (timeouts_.size() <= UINT16_MAX) timeouts_.push_back(wanted);
  return static_cast<std::uint16_t>(timeouts_.size() - 1);
}

void Worker::arrival_begins(ArrivalPlace& place) {
  arriving_.append(place);
  say_oldest_arrival();
  ListenerLoad& load = place.session.listener().load();
  const std::uint64_t of_listener = load.arriving.fetch_add(1) + 1;
  const std::uint64_t all = shared_.arrivals.begin();
  const std::uint64_t limit = load.max_connections.load(std::memory_order_relaxed);
  // The oldest here: those of other workers are out of reach for a listener's own limit.
  if (limit != 0 && of_listener > most_arrivals(limit)) return oldest_arrival_of(load).give_way();
  if (all <= most_arrivals(shared_.admission.max())) return;
  const std::uint32_t oldest = shared_.arrivals.worker_of_oldest();
  if (oldest == index_ || !shared_.give_way)
    let_one_give_way();
  else
    shared_.give_way(oldest);
}

void Worker::arrival_ended(ArrivalPlace& place) {
  place.unlink();
  place.session.listener().load().arriving.fetch_sub(1);
  shared_.arrivals.end();
  say_oldest_arrival();
}

Session& Worker::oldest_arrival_of(const ListenerLoad& load) {
  for (ListPlace* place = arriving_.first(); place != nullptr; place = arriving_.after(*place))
    if (Session& session = static_cast<ArrivalPlace*>(place)->session; &session.listener().load() == &load)
      return session;
  WEIR_CHECK(false);
}

void Worker::say_oldest_arrival() {
  const ListPlace* const first = arriving_.first();
  shared_.arrivals.set_oldest(
      index_, first == nullptr ? Arrivals::kNobody
                               : static_cast<const ArrivalPlace*>(first)->session.times().accepted.count());
}

void Worker::let_one_give_way() {
  ListPlace* const first = arriving_.first();
  if (first == nullptr || shared_.arrivals.count() <= most_arrivals(shared_.admission.max())) return;
  static_cast<ArrivalPlace*>(first)->session.give_way();
}

std::shared_ptr<const Door> Worker::door_in_force(const Listener& listener) const {
  if (listener.is_open()) return listener.doorway().door;
  const auto heirs = find_listeners(listener.id());
  if (!heirs.empty()) return heirs.front()->doorway().door;
  const auto namesake = std::ranges::find_if(listeners_, [&](const auto& one) {
    return one->is_open() && one->load().name == listener.load().name;
  });
  return (namesake != listeners_.end() ? **namesake : listener).doorway().door;
}

std::string Worker::unique_id(const Session& session) const {
  return fmt::format("{}-{}-{:x}", shared_.instance, index_ + 1, session.number());
}

void Worker::run_again(Session& session) {
  if (session.queued()) return;
  session.set_queued(true);
  run_again_.push_back(&session);
  work_left_ = true;
}

void Worker::on_session_over(Session& session) {
  ended_.emplace_back(&session);
  work_left_ = true;
}

void Worker::on_trouble(Trouble trouble) {
  if (trouble_said_ms_ != 0 && now_ms() < trouble_said_ms_ + 1000) return;
  trouble_said_ms_ = now_ms();
  shared_.on_trouble(index_, trouble);
}

void Worker::dispose_of_ended() {
  ended_hedges_.clear();
  if (ended_.empty()) return;
  std::erase_if(run_again_, [](const Session* session) { return session->over(); });
  flows_.forget_ended();
  for (const auto& session : ended_) session->give_sockets(closing_);
  if (children_expected())
    for (const Fd& fd : closing_) loop_->unwatch(fd.get());
  close_together(closing_);
  for (const auto& session : ended_) --session->listener().sessions;
  // Their permits go with them: places are free once the descriptors are.
  ended_.clear();
  std::erase_if(closing_listeners_, [](const Listener* listener) { return !listener->is_closing(); });
  std::erase_if(listeners_,
                [](const auto& listener) { return !listener->is_open() && listener->sessions == 0; });
  if (retry_listeners_ms_ != 0) resume_listeners();
  if (shared_.admission.short_of_descriptors()) shared_.wait_list->wake({WaitFor::Descriptor, 0});
}

void Worker::resume_queued() {
  dispose_of_ended();
  if (run_again_.empty()) return;
  running_.swap(run_again_);
  auto next = running_.begin();
  for (; next != running_.end() && !pump_context_.turn_is_spent(); ++next) {
    (*next)->set_queued(false);
    (*next)->resume();
  }
  run_again_.insert(run_again_.begin(), next, running_.end());
  running_.clear();
  pump_context_.moved_bytes = 0;
}

void Worker::expire_some() {
  for (std::size_t n = 0; n < kExpiriesPerTurn; ++n) {
    Deadline* const deadline = deadlines_.expire_one(now_ms());
    if (deadline == nullptr) return;
    Session::of(*deadline).on_deadline();
  }
}

bool Worker::busy() const {
  const bool closing = !closing_listeners_.empty() &&
                       std::any_of(closing_listeners_.begin(), closing_listeners_.end(),
                                   [](const Listener* listener) { return listener->has_work(); });
  return closing || !run_again_.empty() || !ended_.empty() || sweeper_.busy() || more_verdicts_;
}

bool Worker::catching_up(std::uint64_t now) {
  if (now >= last_turn_ms_ + kStallMs) catch_up_turns_ = kMostCatchUpTurns;
  last_turn_ms_ = now;
  if (!loop_->batch_was_full()) catch_up_turns_ = 0;
  return catch_up_turns_ > 0 && catch_up_turns_-- > 0;
}

Millis Worker::on_turn_end() {
  ++turn_;
  const std::uint64_t now = now_ms();
  const bool may_expire = !catching_up(now);
  if (pipes_.tick(now)) shared_.admission.wake_waiting();
  if (pump_context_.moved_bytes >= BusyPolling::kBulkBytes) loop_->busy_polling().on_bulk();
  pump_context_.moved_bytes = 0;
  flows_.tick(now);
  if (work_left_) resume_queued();
  if (may_expire) expire_some();
  if (work_left_) take_steps();
  if ((retry_listeners_ms_ != 0 && now >= retry_listeners_ms_) || now >= tokens_ms_) resume_listeners();
  if (work_left_) {
    if (busy()) return Millis(0);
    // One that waits for descriptors goes on when it is resumed.
    work_left_ = !closing_listeners_.empty();
  }
  return sleep_from(now);
}

void Worker::take_steps() {
  step_closing_listeners();
  if (more_verdicts_) more_verdicts_ = waiting_room_.step();
  if (sweeper_.busy()) sweeper_.step(sessions_);
  dispose_of_ended();
  sweeper_.say_done();
}

Millis Worker::sleep_from(std::uint64_t now) const {
  std::uint64_t next =
      std::min({deadlines_.next_ms().value_or(kNever), pipes_.due_ms().value_or(kNever), tokens_ms_});
  if (retry_listeners_ms_ != 0) next = std::min(next, retry_listeners_ms_);
  if (flows_.any_marked()) next = std::min(next, now + 1);
  if (next == kNever) return Millis(-1);
  return Millis(next > now ? next - now : 0);
}

}  // namespace weir
