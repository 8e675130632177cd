// A session before its backend has accepted, and for as long as it may turn out not to have meant it.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lb/base/own_sockets.h"
#include "lb/net/raw_calls.h"
#include "lb/net/socket.h"
#include "lb/proxy/session.h"
#include "lb/proxy/worker.h"

namespace weir {
namespace {

/// A backend that ends the session within this time of its accept, before any byte has passed, has failed
/// like one that refuses (spec.md, "What a backend is told").
constexpr std::uint64_t kProbationMs = 1'000;

/// Of what the client has said before there is a backend: held in memory until there is.
constexpr std::size_t kEarlyBytes = 4 * 1024;

bool has_unread_bytes(int fd) {
  char byte;
  return raw::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/// Nothing is there to be read, and the end has not come either.
bool is_silent(int fd) {
  char byte;
  return raw::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/// Whose trouble is none of a backend's.
bool is_own(ConnectFault fault) {
  return fault == ConnectFault::Shortage || fault == ConnectFault::NoSourcePort ||
         fault == ConnectFault::AddressUnusable;
}

}  // namespace

void Session::look_for_backend() {
  Attempts& attempts = setup_->attempts;
  // Kept, since a pool may be replaced while it is used.
  const std::shared_ptr<const Pool> pool = this->pool();
  while (true) {
    const Attempts::Next next = attempts.next(pool.get(), client_address_, worker().now_ms());
    if (attempts.take_blame()) count_failure();
    attempts_ = attempts.count();
    if (const auto* const wait = std::get_if<Attempts::Wait>(&next)) {
      if (!wait_for(*wait, pool.get())) return;
      attempts.resume(true);
      continue;
    }
    if (const auto* const give_up = std::get_if<Attempts::GiveUp>(&next)) return end(give_up->how, true);
    if (std::holds_alternative<Attempts::GoOn>(next)) {
      take_hedge();
      return arm_connect();
    }
    const auto& one = std::get<Attempts::Try>(next);
    const bool has_it = lease_.get() == one.backend->load.get() && lease_.counts();
    if (!has_it && !take_backend(*one.backend)) {
      attempts.was_full();
      continue;
    }
    // It has its place: the next one may try.
    if (setup_->queued_at != kNotQueued) leave_waiting_room();
    setup_->send_proxy = pool->settings().send_proxy;
    const std::optional<ConnectFault> fault = try_connect(one, *pool);
    if (!fault) return;
    attempts.failed(*fault);
  }
}

bool Session::take_backend(const Backend& backend) {
  give_up_trial();
  Lease lease = Lease::take(backend.load);
  if (!lease) {
    if (backend.for_one_session()) backend.load->trial_taken.store(false);
    return false;
  }
  lease_ = std::move(lease);
  trial_ = backend.for_one_session();
  return true;
}

void Session::give_up_trial() {
  if (trial_) lease_.get()->trial_taken.store(false);
  trial_ = false;
}

tl::expected<Connection, ConnectFault> Session::open_connection(const Attempts::Try& one,
                                                                const PoolSettings& settings,
                                                                Watcher& watcher) {
  const bool is_unix = one.address->is_unix();
  if (!worker().waiting_room().may_try(*this, *one.backend->load))
    return tl::unexpected(is_unix ? ConnectFault::BacklogFull : ConnectFault::NoSourcePort);
  const auto& sources = settings.source;
  auto connecting = start_connect(*one.address, sources, sources.empty() ? 0 : worker().next_turn(),
                                  worker().congestion_control(settings, *one.address));
  if (!connecting) {
    const Error& error = connecting.error();
    const ConnectFault fault = classify_connect_error(error.code, *one.address);
    if (is_own(fault)) worker().on_trouble({error.message == "bind" ? "bind" : "connect", error.code});
    return tl::unexpected(fault);
  }
  if (!worker().loop().watch(connecting->fd.get(), watcher, events::kStream)) {
    worker().on_trouble({"connect", ENOMEM});
    return tl::unexpected(ConnectFault::Shortage);
  }
  const auto shown = worker().on_connecting(one.backend->id(), connecting->fd.get());
  return Connection{std::move(connecting->fd),
                    is_unix ? Source::Unix : Source::Tcp,
                    shown,
                    one.address->port(),
                    worker().loop().now(),
                    connecting->connected};
}

std::optional<ConnectFault> Session::try_connect(const Attempts::Try& one, const Pool& pool) {
  std::span<const std::byte> said(setup_->first_bytes);
  // With a unix socket nothing is won.
  if (!one.address->is_unix()) {
    const auto heard = hear_first_bytes();
    if (!heard) {
      end(End::ClientGone, true);
      return std::nullopt;
    }
    said = *heard;
  }
  auto connection = open_connection(one, pool.settings(), static_cast<BackendSide&>(*this));
  if (!connection) {
    keep_first_bytes(said);
    return connection.error();
  }
  if (phase_ == Phase::Waiting) leave_waiting_room();
  phase_ = Phase::Connecting;
  bool connected = connection->connected;
  take_connection(*connection);
  const auto sent = connected ? Sent() : send_early(said, *one.address);
  keep_first_bytes(said.subspan(sent.bytes));
  if (sent.error != 0 && !has_answered(relay_.backend_fd(), sent.error)) {
    close_backend();
    return ConnectFault::Backend;
  }
  if (sent.error != 0) relay_.lose_backend(sent.error);
  connected = connected || sent.bytes > 0 || sent.error != 0;
  setup_->try_until_ms = one.until_ms;
  setup_->hedge_at_ms = kNever;
  if (const Millis after = pool.settings().hedge_after; after > Millis(0) && pool.load() != nullptr) {
    pool.load()->hedge_budget.count_connect(worker().now_ms());
    setup_->hedge_at_ms = worker().now_ms() + static_cast<std::uint64_t>(after.count());
  }
  arm_connect();
  setup_->sent_early = sent.bytes;
  if (connected) on_connected();
  return std::nullopt;
}

std::optional<std::span<const std::byte>> Session::hear_first_bytes() {
  if (!setup_->first_bytes.empty()) return setup_->first_bytes;
  const std::span<std::byte> buffer = worker().pump_context().buffer.first(kEarlyBytes);
  const ssize_t got = raw::recv(relay_.client_fd(), buffer.data(), buffer.size(), 0);
  // This was all that tells of a reset: the next read would be a clean end.
  if (got < 0 && errno != EAGAIN && errno != EINTR) return std::nullopt;
  if (got <= 0) return std::span<const std::byte>();
  const auto size = static_cast<std::size_t>(got);
  if (size < buffer.size() && relay_.short_read_empties_client()) relay_.client_is_empty();
  return buffer.first(size);
}

void Session::keep_first_bytes(std::span<const std::byte> bytes) {
  std::vector<std::byte>& kept = setup_->first_bytes;
  if (bytes.data() != kept.data() || bytes.size() != kept.size()) kept = {bytes.begin(), bytes.end()};
}

Session::Sent Session::send_early(std::span<const std::byte> bytes, const Address& to) {
  const bool alone =
      setup_->send_proxy == SendProxy::Off && !setup_->tls_promised && setup_->hedge == nullptr;
  // Bytes that have met themselves could not be sent to another.
  if (bytes.empty() || !alone || !is_loopback(ClientAddress(to.data())) ||
      worker().may_meet_itself(to.port()))
    return {};
  const ssize_t sent = raw::send(relay_.backend_fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0) return {.bytes = 0, .error = errno == EAGAIN || is_shortage(errno) ? 0 : errno};
  worker().loop().refresh_now();
  return {.bytes = static_cast<std::size_t>(sent), .error = 0};
}

void Session::take_connection(Connection& connection) {
  relay_.attach_backend(std::move(connection.fd), connection.kind);
  const auto shown = std::exchange(connection.shown, std::nullopt);
  shown_ = shown.has_value();
  shown_slot_ = shown.value_or(0);
  setup_->port = connection.port;
  setup_->tried_at = connection.began;
}

void Session::arm_connect() {
  const Setup& setup = *setup_;
  worker().deadlines().set(
      *this, std::min({setup.try_until_ms, setup.hedge_at_ms, setup.hedge ? setup.hedge->until_ms : kNever}));
}

bool Session::wait_for(const Attempts::Wait& wait, const Pool* pool) {
  phase_ = Phase::Waiting;
  const WaitFor why = wait.key.why;
  if (why == WaitFor::FirstVerdict || why == WaitFor::SourcePort || why == WaitFor::BackendSlot) {
    give_up_trial();
    if (lease_) lease_.end_count();
  }
  worker().deadlines().set(*this, wait.until_ms);
  if (why == WaitFor::BackendSlot) return queue_for(*pool);
  leave_queue();
  const Backend* const backend = wait.key.of != 0 ? pool->find(wait.key.of) : nullptr;
  worker().waiting_room().enter(*this, wait.key, backend != nullptr ? backend->load : nullptr);
  return false;
}

bool Session::queue_for(const Pool& pool) {
  const auto joined = worker().waiting_room().join_queue(*this, pool, setup_->attempts.is_particular());
  if (joined == PoolLoad::Joined::No) {
    end(End::Overloaded, true);
    return false;
  }
  if (setup_->queued_at == kNotQueued) setup_->queued_at = worker().loop().now();
  return joined == PoolLoad::Joined::AsFirst;
}

void Session::leave_queue() {
  if (setup_ == nullptr || setup_->queued_at == kNotQueued) return;
  const auto waited = worker().loop().now() - std::exchange(setup_->queued_at, kNotQueued);
  Facts& facts = this->facts();
  facts.queued = facts.queued.value_or(Millis(0)) + std::chrono::duration_cast<Millis>(waited);
  unserved_page().record_queue_wait(std::chrono::duration_cast<std::chrono::microseconds>(waited));
}

void Session::leave_waiting_room() {
  worker().waiting_room().leave(*this);
  leave_queue();
}

void Session::on_summoned(WaitFor why) {
  setup_->attempts.resume(why == WaitFor::BackendSlot);
  look_for_backend();
}

void Session::close_backend() {
  setup_->asking = false;
  setup_->question.clear();
  withdraw_shown();
  close(relay_.detach_backend());
}

void Session::on_connect_deadline() {
  if (phase_ != Phase::Connecting) return look_for_backend();
  const std::uint64_t now_ms = worker().now_ms();
  if (now_ms >= setup_->try_until_ms)
    return setup_->asking ? fail_to_get_tls("says nothing to the SSLRequest") : on_address_failed();
  if (setup_->hedge != nullptr && now_ms >= setup_->hedge->until_ms)
    return on_hedge_failed(ConnectFault::Backend);
  if (now_ms >= setup_->hedge_at_ms) return begin_hedge();
  arm_connect();
}

bool Session::has_met_itself(int fd, std::uint16_t port, std::optional<LoopGuard::Slot> shown) const {
  // Where it has been shown it is known from which port it comes.
  const bool other_port = shown && *shown != LoopGuard::slot_of(port);
  return !other_port && worker().may_meet_itself(port) && is_self_connected(fd, port);
}

bool Session::has_answered(int fd, int error) {
  // EPIPE: the reset came after a FIN.
  return error == EPIPE || (error == ECONNRESET && has_unread_bytes(fd));
}

void Session::on_connect_event(std::uint32_t seen) {
  if (setup_->asking) return hear_about_tls();
  if ((seen & (events::kError | events::kHangUp)) == 0) {
    if ((seen & events::kWritable) != 0) on_connected();
    return;
  }
  const int fd = relay_.backend_fd();
  const int error = take_socket_error(fd);
  // What it sent is an answer all the same.
  if (has_answered(fd, error)) {
    relay_.lose_backend(error);
    return on_connected();
  }
  on_address_failed();
}

void Session::on_address_failed() {
  close_backend();
  setup_->attempts.failed(ConnectFault::Backend);
  look_for_backend();
}

void Session::on_connected() {
  if (has_met_itself(relay_.backend_fd(), setup_->port, shown_ ? std::optional(shown_slot_) : std::nullopt)) {
    set_reset_on_close(relay_.backend_fd());
    return on_address_failed();
  }
  if (setup_->hedge != nullptr) lose_hedge();
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(worker().loop().now() - accepted_);
  connect_us_ = static_cast<std::uint32_t>(std::min<std::int64_t>(took.count(), kNoTime - 1));
  WorkerTotals::record(
      lease_.get()->per_worker[worker().index()].connect_times,
      std::chrono::duration_cast<std::chrono::microseconds>(worker().loop().now() - setup_->tried_at));
  if (setup_->tls_promised) return ask_for_tls();
  begin_relay();
}

void Session::begin_relay() {
  connected_ = true;
  trial_ = false;
  WorkerTotals::add(lease_.get()->per_worker[worker().index()].sessions, 1);
  pace();
  if (setup_->send_proxy == SendProxy::Off && setup_->first_bytes.empty())
    relay_.start();
  else if (!start_with_first_bytes())
    return end(End::ClientReset, true);
  const std::size_t sent_early = setup_->sent_early;
  if (sent_early > 0) relay_.count_sent(sent_early);
  relay_.refuse_untouched(true);
  phase_ = Phase::Relaying;
  touch();
  setup_->probation_over_ms = worker().now_ms() + kProbationMs;
  arm();
  if (sent_early > 0) count_bytes(sent_early, 0);
  relay();
}

bool Session::is_movable() const {
  if (phase_ != Phase::Relaying || closing() || half_closed() || !lease_.counts()) return false;
  const auto& pool = this->pool();
  if (pool == nullptr || pool->settings().balance != "source_hash") return true;
  // Passed over for being full, it would have room once this one had left.
  if (!lease_.get()->has_room()) return false;
  const Choice next = pool->choose({client_address_, {}, worker().now_ms()});
  if (next.kind != Choice::Kind::Chosen) return false;
  // Nobody goes there now.
  if (next.backend->for_one_session()) next.backend->load->trial_taken.store(false);
  return next.backend->load.get() != lease_.get();
}

void Session::pace() const {
  const auto& pool = this->pool();
  if (pool == nullptr) return;
  const PoolSettings& settings = pool->settings();
  if (settings.rate_to_client != 0) set_pacing(relay_.client_fd(), settings.rate_to_client);
  if (settings.rate_to_backend != 0) set_pacing(relay_.backend_fd(), settings.rate_to_backend);
}

bool Session::start_with_first_bytes() {
  std::size_t header_bytes = 0;
  if (setup_->send_proxy != SendProxy::Off && !setup_->tls_promised) {
    if (setup_->first_bytes.empty() && relay_.client_has_spoken() && !read_first_bytes()) return false;
    header_bytes = add_header(setup_->first_bytes);
  }
  relay_.start_with(std::move(setup_->first_bytes), header_bytes);
  return true;
}

bool Session::try_another() {
  if (setup_ == nullptr || worker().now_ms() >= setup_->probation_over_ms) return false;
  // The client's event may come later in the same batch as the backend's: the socket itself is asked.
  if (!is_silent(relay_.client_fd())) return false;
  close_backend();
  connected_ = false;
  setup_->attempts.ended_at_once();
  phase_ = Phase::Connecting;
  look_for_backend();
  return true;
}

void Session::end_probation() {
  setup_.reset();
  if (facts_) std::string().swap(facts_->tlvs);
  relay_.refuse_untouched(false);
  BackendLoad& load = *lease_.get();
  if (load.failures_in_a_row.load(std::memory_order_relaxed) == 0) return;
  load.failures_in_a_row.store(0);
  if (!load.report_pending.exchange(true)) worker().shared().on_connects_changed(lease_.load());
}

void Session::count_failure(const Lease& of) {
  if (&of == &lease_) trial_ = false;
  BackendLoad& load = *of.get();
  std::string& tried = facts().tried;
  tried += (tried.empty() ? "" : ",") + load.name;
  WorkerTotals::add(load.per_worker[worker().index()].connect_failures, 1);
  load.failures_in_a_row.fetch_add(1);
  if (!load.report_pending.exchange(true)) worker().shared().on_connects_changed(of.load());
}

}  // namespace weir
