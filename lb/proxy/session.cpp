#include "lb/proxy/session.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lb/net/socket.h"
#include "lb/proxy/worker.h"

namespace weir {
namespace {

/// A backend's socket gets its keepalive options when the session is this old: four system calls that short
/// sessions are spared. Earlier than kKeepaliveIdleSeconds, so that no dead connection is found later for it.
constexpr std::uint64_t kKeepaliveAfterMs = 20'000;
static_assert(kKeepaliveAfterMs < kKeepaliveIdleSeconds * 1000);

/// Looks at the target's queue while a reset waits for it to empty come after 1, 2, 4 … 64 ms: no event
/// tells.
constexpr std::uint8_t kMaxPollExponent = 6;

std::uint32_t clamp_ms(Millis duration) {
  return static_cast<std::uint32_t>(std::min<std::int64_t>(duration.count(), UINT32_MAX));
}

/// What an idle session costs in user memory, beside malloc's 8 bytes.
static_assert(sizeof(Session) <= 232);

}  // namespace

Session::Session(Worker& worker, Listener& listener, Fd client, const ClientAddress& address,
                 std::uint64_t number)
    : worker_(worker),
      listener_(listener),
      client_(std::move(client)),
      number_(number),
      accepted_(worker.loop().now()),
      last_activity_ms_(worker.now_ms()),
      client_address_(address) {}

Session::~Session() {
  to_backend_.release(worker_.pump_context().pipes);
  to_client_.release(worker_.pump_context().pipes);
}

void Session::start() {
  if (const Pool* const pool = listener_.pool()) {
    idle_timeout_ms_ = clamp_ms(pool->settings().idle_timeout);
    half_close_timeout_ms_ = clamp_ms(pool->settings().half_close_timeout);
  }
  // Registered before there is a backend, so that a client that leaves meanwhile is noticed.
  if (!worker_.loop().watch(client_.get(), static_cast<ClientSide&>(*this), events::kStream))
    return end(End::NoBackend, true);
  connect_next();
}

void ClientSide::on_events(std::uint32_t seen) {
  static_cast<Session*>(this)->on_client_events(seen);
}
void BackendSide::on_events(std::uint32_t seen) {
  static_cast<Session*>(this)->on_backend_events(seen);
}

void Session::on_client_events(std::uint32_t seen) {
  if (!client_ || over()) return;
  to_backend_.on_source_events(seen);
  to_client_.on_sink_events(seen);
  if (connecting()) {
    // Its FIN alone is a half-close; both directions are over only by a reset.
    if ((seen & (events::kError | events::kHangUp)) != 0) end(End::ClientGone, true);
    return;
  }
  if ((seen & events::kError) != 0) client_lost_ = true;
  relay_in_turn();
}

void Session::on_backend_events(std::uint32_t seen) {
  if (!backend_ || over()) return;
  to_client_.on_source_events(seen);
  to_backend_.on_sink_events(seen);
  if (connecting()) return on_connect_event(seen);
  if ((seen & events::kError) != 0) backend_lost_ = true;
  relay_in_turn();
}

void Session::resume() {
  if (!over()) relay();
}

void Session::relay_in_turn() {
  if ((to_backend_.bulk() || to_client_.bulk()) && worker_.bulk_waits()) return worker_.run_again(*this);
  relay();
}

void Session::relay() {
  if (phase_ == Phase::Resetting) {
    const bool to_backend = ending_ == End::ClientReset;
    Pump& pump = to_backend ? to_backend_ : to_client_;
    const std::uint64_t before = pump.delivered_bytes();
    pump.run(-1, (to_backend ? backend_ : client_).get(), worker_.pump_context());
    const std::uint64_t moved = pump.delivered_bytes() - before;
    count_bytes(to_backend ? moved : 0, to_backend ? 0 : moved);
    return poll_delivery();
  }
  PumpContext& context = worker_.pump_context();
  const std::uint64_t before = context.moved_bytes;
  const Pump::Outcome to_backend = to_backend_.run(client_.get(), backend_.get(), context);
  const std::uint64_t between = context.moved_bytes;
  const Pump::Outcome to_client = to_client_.run(backend_.get(), client_.get(), context);
  if (context.moved_bytes > before) {
    last_activity_ms_ = worker_.now_ms();
    count_bytes(between - before, context.moved_bytes - between);
  }
  if (to_backend == Pump::Outcome::OutOfBudget || to_client == Pump::Outcome::OutOfBudget)
    worker_.run_again(*this);
  settle(to_backend, to_client);
}

void Session::count_bytes(std::uint64_t to_backend, std::uint64_t to_client) {
  WorkerTotals& totals = lease_.get()->per_worker[worker_.index()];
  if (to_backend > 0) WorkerTotals::add(totals.bytes_to_backend, to_backend);
  if (to_client > 0) WorkerTotals::add(totals.bytes_to_client, to_client);
}

/// What has become of the session, now that both pumps stand still. Every condition here is lasting, so that
/// one that cannot be acted upon yet (bytes still on their way) is found again after the next event.
void Session::settle(Pump::Outcome to_backend, Pump::Outcome to_client) {
  using Outcome = Pump::Outcome;
  // The answer is complete when the backend's FIN came before any reset of its. A write that failed for a
  // reset has taken the socket's error with it, and the read then ends as cleanly as after a FIN; EPIPE,
  // though, is what a reset *after* a FIN gives (tcp_reset in the kernel).
  if (to_client_.source_finished() && (to_backend_.sink_error() == 0 || to_backend_.sink_error() == EPIPE))
    answer_complete_ = true;
  if (to_backend == Outcome::SinkFailed && !backend_lost_) {
    backend_lost_ = true;
    to_client_.read_to_end();
    return relay();
  }
  if (to_client == Outcome::SinkFailed && !client_lost_) {
    client_lost_ = true;
    to_backend_.read_to_end();
    return relay();
  }

  if (to_backend_.source_error() != 0 || (client_lost_ && to_backend_.source_finished()))
    return reset_after_delivery(End::ClientReset);
  if (to_client_.source_error() != 0 || (backend_lost_ && to_client_.source_finished() && !answer_complete_))
    return reset_after_delivery(End::BackendReset);
  if (backend_lost_ && answer_complete_ && phase_ == Phase::Relaying) return finish_after_answer();

  const bool both = to_backend == Outcome::Drained && to_client == Outcome::Drained;
  if (both) return end(End::Done, false);
  if (to_backend == Outcome::Drained && phase_ == Phase::Relaying && !fin_to_backend_) {
    fin_to_backend_ = true;
    shutdown(backend_.get(), SHUT_WR);
  }
  if (to_client == Outcome::Drained && !fin_to_client_) {
    fin_to_client_ = true;
    shutdown(client_.get(), SHUT_WR);
  }
  if (!short_timeout_ && (half_closed() || lost_one())) {
    short_timeout_ = true;
    last_activity_ms_ = worker_.now_ms();  // it counts from now, not from the last byte
    arm();
  }
}

void Session::reset_after_delivery(End how) {
  ending_ = how;
  const bool to_backend = how == End::ClientReset;
  if (!(to_backend ? backend_ : client_) || (to_backend ? backend_lost_ : client_lost_))
    return end(how, true);
  phase_ = Phase::Resetting;
  (to_backend ? to_client_ : to_backend_).release(worker_.pump_context().pipes);
  (to_backend ? client_lost_ : backend_lost_) = true;
  last_activity_ms_ = worker_.now_ms();
  poll_delivery();
  if (!over()) close_side(to_backend ? client_ : backend_);
}

void Session::poll_delivery() {
  const bool to_backend = ending_ == End::ClientReset;
  const Pump& pump = to_backend ? to_backend_ : to_client_;
  const int target = (to_backend ? backend_ : client_).get();
  // A close with linger 0 destroys what the kernel has queued: not before the other end has acknowledged it.
  // Once that end has reset itself, nothing is acknowledged any more.
  const bool target_lost = to_backend ? backend_lost_ : client_lost_;
  const bool delivered =
      target_lost || pump.sink_error() != 0 || (!pump.holds_bytes() && unsent_bytes(target) == 0);
  const std::uint64_t now_ms = worker_.now_ms();
  if (delivered || now_ms >= last_activity_ms_ + half_close_timeout_ms_) return end(ending_, true);
  worker_.deadlines().set(*this, now_ms + (std::uint64_t{1} << poll_exponent_));
  if (poll_exponent_ < kMaxPollExponent) ++poll_exponent_;
}

void Session::finish_after_answer() {
  phase_ = Phase::Finishing;
  close_side(backend_);
  to_backend_.discard(worker_.pump_context().pipes);
  relay();
}

void Session::arm() {
  const std::uint64_t timeout = short_timeout_ ? half_close_timeout_ms_ : idle_timeout_ms_;
  std::uint64_t due = last_activity_ms_ + timeout;
  if (!keepalive_set_) due = std::min(due, accepted_ms() + kKeepaliveAfterMs);
  worker_.deadlines().set(*this, due);
}

void Session::on_deadline() {
  if (phase_ == Phase::Connecting || phase_ == Phase::Waiting) return on_connect_deadline();
  if (phase_ == Phase::Resetting) return relay();
  const std::uint64_t now_ms = worker_.now_ms();
  if (!keepalive_set_ && now_ms >= accepted_ms() + kKeepaliveAfterMs) {
    keepalive_set_ = true;
    if (backend_) set_keepalive(backend_.get());
  }
  // Activity only stores its time: whether the deadline still holds is seen now.
  const std::uint64_t timeout = short_timeout_ ? half_close_timeout_ms_ : idle_timeout_ms_;
  if (now_ms < last_activity_ms_ + timeout) return arm();
  if (client_lost_) return end(End::ClientReset, true);
  if (phase_ == Phase::Finishing)
    return fin_to_client_ ? end(End::Done, false) : end(End::HalfCloseIdle, true);
  if (backend_lost_) return end(End::BackendReset, true);
  end(half_closed() ? End::HalfCloseIdle : End::Idle, true);
}

void Session::abort(End how) {
  end(how, true);
}

void Session::close_side(Fd& fd) {
  if (fd && worker_.children_expected()) worker_.loop().unwatch(fd.get());
  fd.reset();
}

void Session::give_sockets(std::vector<Fd>& out) {
  if (client_) out.push_back(std::move(client_));
  if (backend_) out.push_back(std::move(backend_));
}

std::uint64_t Session::accepted_ms() const {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Millis>(accepted_).count());
}

void Session::end(End how, bool reset) {
  if (over()) return;
  phase_ = Phase::Over;
  unlink();
  give_up_trial();
  if (reset) {
    if (client_ && !client_lost_) set_reset_on_close(client_.get());
    if (backend_ && !backend_lost_) set_reset_on_close(backend_.get());
  }
  attempt_.reset();
  auto backend = lease_.release();
  if (AccessLog& log = worker_.shared().access_log; log.enabled()) {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    const auto duration = worker_.loop().now() - accepted_;
    log.write(worker_.index(),
              {.time_ms = std::chrono::duration_cast<Millis>(since_epoch).count(),
               .listener = &listener_.load(),
               .backend = std::move(backend),
               .connect_us = connected_ ? std::int64_t{connect_us_} : -1,
               .duration_us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count(),
               .bytes_to_backend = bytes_to_backend(),
               .bytes_to_client = bytes_to_client(),
               .client = client_address_,
               .attempts = attempts_,
               .end = how});
  }
  worker_.on_session_over(*this);
}

}  // namespace weir
