#include "lb/proxy/session.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lb/balance/rendezvous.h"
#include "lb/net/socket.h"
#include "lb/proxy/worker.h"

namespace weir {
namespace {

/// A backend's socket gets its keepalive options when the session is this old: four system calls that short
/// sessions are spared. Earlier than kKeepaliveIdleSeconds, so that no dead connection is found later for it.
constexpr std::uint64_t kKeepaliveAfterMs = 20'000;
static_assert(kKeepaliveAfterMs < kKeepaliveIdleSeconds * 1000);

/// Between two looks at whether a client that is heard out has taken the answer: no event tells.
constexpr std::uint32_t kLookAgainMs = 20;

/// What an idle session costs in user memory, beside malloc's 8 bytes.
static_assert(sizeof(Session) <= 232);

}  // namespace

Session::Session(Worker& worker, Listener& listener, Permit permit, Fd client, const ClientAddress& address,
                 std::uint64_t number)
    : listener_(listener),
      permit_(std::move(permit)),
      relay_(std::move(client), address.ip().empty() ? Source::Unix : Source::Tcp),
      number_(number),
      accepted_(worker.loop().now()),
      client_address_(address),
      has_token_(listener.takes_tokens()) {
  touch();
}

Session::Setup::Setup(Worker& of) : worker(of) {
  worker.count_unsettled(1);
}

Session::Setup::~Setup() {
  worker.count_unsettled(-1);
}

Session::~Session() {
  relay_.release(worker().pump_context().pipes);
}

void Session::start() {
  take_timeouts();
  // Registered before there is a backend, so that a client that leaves meanwhile is noticed.
  if (const auto watched =
          worker().loop().watch(relay_.client_fd(), static_cast<ClientSide&>(*this), events::kStream);
      !watched) {
    worker().on_trouble({"accept", watched.error().code});
    return end(End::NoBackend, true);
  }
  setup_ = std::make_unique<Setup>(worker());
  if (listener_.doorway().door != nullptr) return arrive();
  look_for_backend();
}

void Session::take_timeouts() {
  if (const auto& pool = this->pool()) timeouts_ = worker().timeouts_of(pool->settings());
}

void ClientSide::on_events(std::uint32_t seen) {
  static_cast<Session*>(this)->on_client_events(seen);
}
void BackendSide::on_events(std::uint32_t seen) {
  static_cast<Session*>(this)->on_backend_events(seen);
}

void Session::on_client_events(std::uint32_t seen) {
  if (!relay_.has_client() || over()) return;
  relay_.hear_client(seen);
  if (!connecting()) return relay_in_turn();
  if (phase_ == Phase::Arriving) return on_arrival_event(seen);
  if (relay_.client_is_gone(seen, !setup_->first_bytes.empty())) end(End::ClientGone, true);
}

void Session::on_backend_events(std::uint32_t seen) {
  if (!relay_.has_backend() || over()) return;
  // Once there has been a hedge the event may be of the connect that was given up for it.
  if (connecting() && setup_->attempts.had_hedge()) seen = seen_now(relay_.backend_fd());
  relay_.hear_backend(seen);
  if (connecting()) return on_connect_event(seen);
  relay_in_turn();
}

void Session::resume() {
  if (!over()) relay();
}

void Session::relay_in_turn() {
  if (relay_.bulk() && worker().bulk_waits()) return worker().run_again(*this);
  relay();
}

void Session::relay() {
  const std::uint64_t to_backend = bytes_to_backend();
  const std::uint64_t to_client = bytes_to_client();
  const Relay::Flow flow = relay_.flow(worker().pump_context());
  if (!flow.calm) return conclude(flow, to_backend, to_client);
  count_bytes(bytes_to_backend() - to_backend, bytes_to_client() - to_client);
}

void Session::conclude(Relay::Flow flow, std::uint64_t to_backend, std::uint64_t to_client) {
  PumpContext& context = worker().pump_context();
  Relay::Step step = relay_.conclude(flow, context);
  if (step.refused) {
    if (try_another()) return;
    relay_.refuse_untouched(false);
    step = relay_.conclude(relay_.flow(context), context);
  }
  count_bytes(bytes_to_backend() - to_backend, bytes_to_client() - to_client);
  take(step);
}

void Session::count_bytes(std::uint64_t to_backend, std::uint64_t to_client) {
  if (to_backend + to_client == 0) return;
  WorkerTotals& totals = lease_.get()->per_worker[worker().index()];
  if (to_backend > 0) WorkerTotals::add(totals.bytes_to_backend, to_backend);
  if (to_backend >= Flows::kRunBytes && relay_.bulk())
    worker().flows().watch(*this, Way::ToBackend, worker().now_ms());
  if (to_client >= Flows::kRunBytes && relay_.bulk())
    worker().flows().watch(*this, Way::ToClient, worker().now_ms());
  if (to_client > 0) {
    WorkerTotals::add(totals.bytes_to_client, to_client);
    if (to_client == bytes_to_client()) record_first_byte(totals);
    withdraw_shown();
  }
  if (setup_) end_probation();
  // A reset waits for so long, whatever passes.
  if (patience_ != Relay::Patience::Resetting) touch();
}

void Session::unmark(Way way) {
  relay_.unmark(way);
  worker().run_again(*this);
}

void Session::take(Relay::Step& step) {
  close(std::move(step.lost));
  if (step.starved) worker().on_trouble({"relay", ENOBUFS});
  if (step.over) return end(step.over->how, step.over->reset);
  if (step.again) worker().run_again(*this);
  if (const Relay::Patience patience = relay_.patience(); patience != patience_) {
    patience_ = patience;
    // A new timeout counts from now, not from the last byte.
    touch();
    arm();
  }
  if (hearing_out()) {
    lease_.end_count();
    if (worker().winding_up()) return finish_hearing_out();
  }
  if (step.wake_ms > 0) wake_in(step.wake_ms);
}

void Session::record_first_byte(WorkerTotals& totals) {
  const auto since_accept =
      std::chrono::duration_cast<std::chrono::microseconds>(worker().loop().now() - accepted_);
  const auto took = since_accept - std::chrono::microseconds(connect_us_);
  first_byte_us_ = static_cast<std::uint32_t>(std::min<std::int64_t>(took.count(), kNoTime - 1));
  WorkerTotals::record(totals.first_byte_times, took);
  lease_.get()->record_first_byte(took, worker().now_ms());
}

void Session::wake_in(std::uint32_t ms) {
  wake_pending_ = true;
  worker().deadlines().set(*this, worker().now_ms() + ms);
}

void Session::finish_hearing_out() {
  if (!hearing_out()) return;
  if (relay_.answer_taken()) return end(End::Done, false);
  wake_in(kLookAgainMs);
}

void Session::withdraw_shown() {
  if (shown_) worker().withdraw_shown(shown_slot_);
  shown_ = false;
}

void Session::touch() {
  last_activity_ms_ = static_cast<std::uint32_t>(worker().now_ms());
}

std::uint32_t Session::idle_ms() const {
  return static_cast<std::uint32_t>(worker().now_ms()) - last_activity_ms_;
}

Session::Times Session::times() const {
  return {accepted_, worker().now_ms() - idle_ms()};
}

std::uint32_t Session::timeout_ms() const {
  const auto& timeouts = worker().timeouts(timeouts_);
  return patience_ == Relay::Patience::Idle ? timeouts.idle_ms : timeouts.half_close_ms;
}

std::uint64_t Session::lifetime_over_ms() const {
  const std::uint64_t lifetime = worker().timeouts(timeouts_).lifetime_ms;
  if (lifetime == 0) return UINT64_MAX;
  // A tenth less or more, by its number, so that those of one moment do not end in one.
  const std::uint64_t share = mix64(number_ << 10 ^ worker().index()) % 2'001;
  return accepted_ms() + connect_us_ / 1'000 + lifetime * (9'000 + share) / 10'000;
}

void Session::arm() {
  std::uint64_t due = std::min(worker().now_ms() - idle_ms() + timeout_ms(), lifetime_over_ms());
  if (!keepalive_set_) due = std::min(due, accepted_ms() + kKeepaliveAfterMs);
  if (setup_) due = std::min(due, setup_->probation_over_ms);
  worker().deadlines().set(*this, due);
}

void Session::on_deadline() {
  if (phase_ == Phase::Arriving) return heed(setup_->arrival->client.on_timeout());
  if (connecting()) return on_connect_deadline();
  const std::uint64_t now_ms = worker().now_ms();
  if (setup_ && now_ms >= setup_->probation_over_ms) end_probation();
  if (!keepalive_set_ && now_ms >= accepted_ms() + kKeepaliveAfterMs) {
    keepalive_set_ = true;
    if (relay_.has_backend()) set_keepalive(relay_.backend_fd());
  }
  if (now_ms >= lifetime_over_ms()) return end(End::Lifetime, true);
  // Activity only stores its time: whether the deadline still holds is seen now.
  if (idle_ms() >= timeout_ms()) {
    const Relay::Over over = relay_.on_timeout();
    return end(over.how, over.reset);
  }
  arm();
  const bool woken = wake_pending_;
  wake_pending_ = false;
  if (woken) relay();
}

void Session::abort(End how) {
  end(how, true);
}

Session::Leaving Session::leave_backend() {
  if (over() || phase_ == Phase::Waiting || !lease_.counts() || relay_.answer_is_whole())
    return Leaving::Stays;
  if (phase_ == Phase::Connecting) {
    on_address_failed();
    return Leaving::TriesAnother;
  }
  end(End::Killed, true);
  return Leaving::Ended;
}

void Session::close(Fd fd) {
  if (fd && worker().children_expected()) worker().loop().unwatch(fd.get());
}

void Session::give_sockets(std::vector<Fd>& out) {
  relay_.give_sockets(out);
}

std::uint64_t Session::accepted_ms() const {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Millis>(accepted_).count());
}

void Session::end_unseen() {
  unseen_ = true;
  give_back_token();
  listener_.discount_accepted();
  end(End::Done, false);
}

void Session::count_end(End how, BackendLoad* backend, std::chrono::nanoseconds lasted) {
  const ListenerLoad& listener = listener_.load();
  const std::uint32_t index = worker().index();
  EndBook::Page* page = nullptr;
  if (backend != nullptr) {
    WorkerTotals& totals = backend->per_worker[index];
    page = &totals.ends.page(&listener, listener.name);
    if (connected_) {
      WorkerTotals::Ended& ended = totals.make_ended();
      ended.spans.record(static_cast<std::uint64_t>(lasted.count()) / 1'000);
      ended.sizes.record(bytes_to_backend() + bytes_to_client());
    }
  } else {
    page = &unserved_page();
  }
  page->count(how);
  if (attempts_ > 1) EndBook::Page::add(page->retries, attempts_ - 1U);
}

EndBook::Page& Session::unserved_page() {
  return listener_.load().unserved[worker().index()].ends.page(pool_name());
}

void Session::end(End how, bool reset) {
  if (over()) return;
  if (connecting()) leave_waiting_room();
  if (how == End::Overloaded)
    if (const auto& pool = this->pool(); pool != nullptr && pool->load() != nullptr)
      ++pool->load()->overloaded;
  if (setup_ && connected_) end_probation();
  phase_ = Phase::Over;
  if (setup_ && setup_->arrival) facts_ = setup_->arrival->client.take_facts();
  withdraw_shown();
  Deadline::unlink();
  give_up_trial();
  if (reset) relay_.prepare_reset();
  if (setup_ && setup_->hedge) lose_hedge();
  setup_.reset();
  auto backend = give_back(lease_);
  if (facts_) facts_->place.give_back();
  const auto lasted = worker().loop().now() - accepted_;
  if (!unseen_ && !is_turned_away(how)) count_end(how, backend.get(), lasted);
  if (AccessLog& log = worker().shared().access_log; log.enabled() && !unseen_) {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    log.write(worker().index(),
              {.number = number_,
               .time_ms = std::chrono::duration_cast<Millis>(since_epoch).count(),
               .listener = &listener_.load(),
               .backend = std::move(backend),
               .connect_us = connected_ ? std::int64_t{connect_us_} : -1,
               .first_byte_us = first_byte_us_ != kNoTime ? std::int64_t{first_byte_us_} : -1,
               .duration_us = std::chrono::duration_cast<std::chrono::microseconds>(lasted).count(),
               .bytes_to_backend = bytes_to_backend(),
               .bytes_to_client = bytes_to_client(),
               .client = client_address_,
               .facts = std::move(facts_),
               .attempts = attempts_,
               .end = how});
  }
  worker().on_session_over(*this);
}

}  // namespace weir
