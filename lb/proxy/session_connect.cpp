#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lb/net/socket.h"
#include "lb/proxy/session.h"
#include "lb/proxy/worker.h"

namespace weir {
namespace {

/// Own trouble is tried again after 10, 20, 40, 80, 100, 100 … ms.
constexpr std::uint64_t kFirstWaitMs = 10;
constexpr std::uint64_t kLongestWaitMs = 100;

bool has_unread_bytes(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

}  // namespace

Session::Attempt& Session::attempt() {
  if (!attempt_) attempt_ = std::make_unique<Attempt>();
  return *attempt_;
}

const Backend* Session::pick_untried(const Pool& pool) {
  while (true) {
    const std::span<const BackendId> tried =
        attempt_ ? std::span<const BackendId>(attempt_->tried) : std::span<const BackendId>();
    const Backend* const backend = pool.pick({client_address_, tried});
    if (backend == nullptr) return nullptr;
    // Only one session may try a backend that is on trial; for the others it is out of rotation.
    trial_ = backend->on_trial && !backend->load->trial_taken.exchange(true);
    if (!backend->on_trial || trial_) return backend;
    attempt().tried.push_back(backend->id());
  }
}

void Session::connect_next() {
  const Pool* const pool = listener_.pool();
  while (pool != nullptr && attempts_ < pool->settings().connect_attempts) {
    const Backend* const backend = pick_untried(*pool);
    if (backend == nullptr) break;
    ++attempts_;
    lease_ = Lease(backend->load);
    if (attempt_) {
      attempt_->addresses_tried = 0;
      attempt_->give_up_ms = attempt_->wait_ms = 0;
    }
    if (connect_to(*backend, pool->settings())) return;
    attempt().tried.push_back(backend->id());
  }
  end(attempts_ == 0 ? End::NoBackend : End::ConnectFailed, true);
}

bool Session::connect_to(const Backend& backend, const PoolSettings& settings) {
  std::uint32_t at = attempt_ ? attempt_->addresses_tried : 0;
  for (; at < backend.addresses.size(); ++at) {
    auto connecting = start_connect(backend.addresses[at]);
    if (!connecting) {
      const int error = connecting.error().code;
      if (is_shortage(error) || error == EAGAIN || error == EADDRNOTAVAIL)
        return on_start_failed(error, settings);
      attempt().addresses_tried = at + 1;
      continue;
    }
    backend_ = std::move(connecting->fd);
    phase_ = Phase::Connecting;
    if (!worker_.loop().watch(backend_.get(), static_cast<BackendSide&>(*this), events::kStream))
      return on_start_failed(ENOMEM, settings);
    worker_.deadlines().set(*this,
                            worker_.now_ms() + static_cast<std::uint64_t>(settings.connect_timeout.count()));
    if (connecting->connected) on_connected();
    return true;
  }
  count_failure();
  return false;
}

/// Weir's own trouble, or a unix backend whose backlog is full: never held against the backend. A shortage
/// passes, so this backend is tried again shortly, within its connect_timeout; without a source port left for
/// it, another one is.
bool Session::on_start_failed(int error, const PoolSettings& settings) {
  close_side(backend_);
  to_client_.on_fresh_source();
  if (error != EAGAIN) worker_.on_trouble({"connect", error});
  if (error == EADDRNOTAVAIL) {
    give_up_trial();
    return false;
  }
  const std::uint64_t now_ms = worker_.now_ms();
  Attempt& waiting = attempt();
  if (waiting.give_up_ms == 0)
    waiting.give_up_ms = now_ms + static_cast<std::uint64_t>(settings.connect_timeout.count());
  waiting.wait_ms = std::clamp(waiting.wait_ms * 2, kFirstWaitMs, kLongestWaitMs);
  waiting.backlog_full = error == EAGAIN;
  phase_ = Phase::Waiting;
  worker_.deadlines().set(*this, std::min(now_ms + waiting.wait_ms, waiting.give_up_ms));
  return true;
}

void Session::on_connect_deadline() {
  if (phase_ == Phase::Connecting) return on_address_failed();
  const Pool* const pool = listener_.pool();
  const Backend* const backend = pool != nullptr ? pool->find(lease_.get()->id) : nullptr;
  const bool in_time = worker_.now_ms() < attempt_->give_up_ms;
  if (in_time && backend != nullptr && connect_to(*backend, pool->settings())) return;
  // A backend that kept its backlog full all the while is at fault; our own shortage is not its affair.
  if (!in_time && attempt_->backlog_full) count_failure();
  give_up_trial();
  attempt_->tried.push_back(lease_.get()->id);
  connect_next();
}

void Session::on_connect_event(std::uint32_t seen) {
  if ((seen & (events::kError | events::kHangUp)) == 0) {
    if ((seen & events::kWritable) != 0) on_connected();
    return;
  }
  const int fd = backend_.get();
  const int error = take_socket_error(fd);
  // It had accepted, and answered or finished, before it reset: what it sent is an answer. EPIPE: the reset
  // came after a FIN.
  if (error == EPIPE || (error == ECONNRESET && has_unread_bytes(fd))) {
    backend_lost_ = true;
    to_backend_.fail_sink(error);
    return on_connected();
  }
  on_address_failed();
}

void Session::on_connected() {
  connected_ = true;
  trial_ = false;
  attempt_.reset();
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(worker_.loop().now() - accepted_);
  connect_us_ = static_cast<std::uint32_t>(took.count());
  BackendLoad& load = *lease_.get();
  WorkerTotals::add(load.per_worker[worker_.index()].sessions, 1);
  if (load.failures_in_a_row.load(std::memory_order_relaxed) != 0) {
    load.failures_in_a_row.store(0);
    if (!load.report_pending.exchange(true)) worker_.shared().on_connects_changed(lease_.load());
  }
  to_backend_.on_fresh_sink();
  phase_ = Phase::Relaying;
  last_activity_ms_ = worker_.now_ms();
  arm();
  relay();
}

void Session::on_address_failed() {
  close_side(backend_);
  to_client_.on_fresh_source();
  const Pool* const pool = listener_.pool();
  const BackendId id = lease_.get()->id;
  const Backend* const backend = pool != nullptr ? pool->find(id) : nullptr;
  ++attempt().addresses_tried;
  if (backend == nullptr)
    count_failure();
  else if (connect_to(*backend, pool->settings()))
    return;
  attempt_->tried.push_back(id);
  connect_next();
}

void Session::give_up_trial() {
  if (trial_) lease_.get()->trial_taken.store(false);
  trial_ = false;
}

void Session::count_failure() {
  trial_ = false;
  BackendLoad& load = *lease_.get();
  WorkerTotals::add(load.per_worker[worker_.index()].connect_failures, 1);
  load.failures_in_a_row.fetch_add(1);
  if (!load.report_pending.exchange(true)) worker_.shared().on_connects_changed(lease_.load());
}

}  // namespace weir
