// A session's second connect, beside one that is silent.
#include <poll.h>

#include <utility>

#include "lb/net/socket.h"
#include "lb/proxy/session.h"
#include "lb/proxy/worker.h"

namespace weir {

void Hedge::on_events(std::uint32_t seen) {
  if (session_ != nullptr) session_->on_hedge_event(seen);
}

void Session::begin_hedge() {
  setup_->hedge_at_ms = kNever;
  arm_connect();
  const std::shared_ptr<const Pool> pool = this->pool();
  if (pool == nullptr || pool->load() == nullptr) return;
  Attempts& attempts = setup_->attempts;
  const auto next = attempts.hedge(*pool, client_address_, worker().now_ms());
  if (!next) return;
  Lease lease = take_place_for_hedge(*pool, *next->backend);
  if (!lease) {
    attempts.drop_hedge();
    return;
  }
  pool->load()->hedged.fetch_add(1, std::memory_order_relaxed);
  attempts_ = attempts.count();
  setup_->hedge = std::make_unique<Hedge>(*this, std::move(lease));
  try_hedge(next);
}

Lease Session::take_place_for_hedge(const Pool& pool, const Backend& backend) {
  Descriptors& descriptors = worker().shared().admission.descriptors();
  HedgeBudget& budget = pool.load()->hedge_budget;
  if (!descriptors.take_for_hedge()) return {};
  if (budget.take(worker().now_ms())) {
    if (Lease lease = Lease::take(backend.load)) return lease;
    budget.give_back(worker().now_ms());
  }
  descriptors.give(Descriptors::kOfHedge);
  worker().shared().admission.wake_waiting();
  return {};
}

void Session::try_hedge(std::optional<Attempts::Try> next) {
  const std::shared_ptr<const Pool> pool = this->pool();
  Hedge& hedge = *setup_->hedge;
  while (next) {
    auto connection = open_connection(*next, pool->settings(), hedge);
    if (connection) {
      hedge.connection = std::move(*connection);
      hedge.until_ms = next->until_ms;
      return hedge.connection.connected ? prefer_hedge() : arm_connect();
    }
    next = setup_->attempts.next_of_hedge(pool.get(), connection.error(), worker().now_ms());
  }
  drop_hedge();
}

void Session::drop_hedge() {
  if (setup_->attempts.drop_hedge()) count_failure(setup_->hedge->lease());
  attempts_ = setup_->attempts.count();
  close_hedge();
  arm_connect();
}

void Session::on_hedge_event(std::uint32_t seen) {
  const int fd = setup_->hedge->connection.fd.get();
  if ((seen & (events::kError | events::kHangUp)) == 0) {
    if ((seen & events::kWritable) == 0) return;
    const Connection& connection = setup_->hedge->connection;
    if (!has_met_itself(fd, connection.port, connection.shown)) return prefer_hedge();
    set_reset_on_close(fd);
    return on_hedge_failed(ConnectFault::Backend);
  }
  const int error = take_socket_error(fd);
  if (!has_answered(fd, error)) return on_hedge_failed(ConnectFault::Backend);
  prefer_hedge();
  relay_.lose_backend(error);
  on_connected();
}

void Session::on_hedge_failed(ConnectFault fault) {
  close_connection(setup_->hedge->connection);
  const std::shared_ptr<const Pool> pool = this->pool();
  try_hedge(setup_->attempts.next_of_hedge(pool.get(), fault, worker().now_ms()));
}

void Session::prefer_hedge() {
  set_reset_on_close(relay_.backend_fd());
  close_backend();
  setup_->attempts.hedge_won();
  if (const auto& pool = this->pool(); pool != nullptr && pool->load() != nullptr)
    pool->load()->hedges_won.fetch_add(1, std::memory_order_relaxed);
  take_hedge();
  arm_connect();
}

void Session::take_hedge() {
  give_up_trial();
  Hedge& hedge = *setup_->hedge;
  give_back(lease_);
  lease_ = std::move(hedge.lease());
  // What has been seen of it already is told anew: to the session.
  worker().loop().change_interest(hedge.connection.fd.get(), static_cast<BackendSide&>(*this),
                                  events::kStream);
  take_connection(hedge.connection);
  setup_->try_until_ms = hedge.until_ms;
  setup_->hedge_at_ms = kNever;
  close_hedge();
}

void Session::lose_hedge() {
  setup_->attempts.hedge_lost();
  close_hedge();
}

void Session::leave_hedge(BackendId backend) {
  if (setup_ == nullptr || setup_->hedge == nullptr || setup_->hedge->lease().get()->id != backend) return;
  drop_hedge();
}

void Session::close_hedge() {
  std::unique_ptr<Hedge> hedge = std::move(setup_->hedge);
  if (hedge->connection.fd) set_reset_on_close(hedge->connection.fd.get());
  close_connection(hedge->connection);
  give_back(hedge->lease());
  Admission& admission = worker().shared().admission;
  admission.descriptors().give(Descriptors::kOfHedge);
  admission.wake_waiting();
  hedge->detach();
  worker().dispose_of(std::move(hedge));
}

void Session::close_connection(Connection& connection) {
  if (const auto slot = std::exchange(connection.shown, std::nullopt)) worker().withdraw_shown(*slot);
  close(std::move(connection.fd));
}

std::shared_ptr<BackendLoad> Session::give_back(Lease& lease) {
  auto backend = lease.release();
  if (backend && backend->waiting.load(std::memory_order_relaxed) > 0)
    worker().waiting_room().freed(*backend);
  return backend;
}

std::uint32_t Session::seen_now(int fd) {
  pollfd asked{fd, POLLIN | POLLOUT | POLLRDHUP, 0};
  static_assert(POLLIN == events::kReadable && POLLOUT == events::kWritable && POLLERR == events::kError &&
                POLLHUP == events::kHangUp && POLLRDHUP == events::kPeerClosed);
  return poll(&asked, 1, 0) > 0 ? static_cast<std::uint32_t>(asked.revents) : 0;
}

}  // namespace weir
