#include "lb/proxy/attempts.h"

#include <algorithm>
#include <utility>

namespace weir {
namespace {

std::uint64_t timeout_ms(const Pool& pool) {
  return static_cast<std::uint64_t>(pool.settings().connect_timeout.count());
}

}  // namespace

const Backend* Attempts::find(const Trying& trying, const Pool& pool, std::uint64_t now_ms) {
  if (trying.id == 0 || now_ms >= trying.give_up_ms) return nullptr;
  const Backend* const backend = pool.find(trying.id);
  // Its health was judged when it was chosen: somebody who is ejected is better than nobody. What an operator
  // has said since counts.
  const bool may_serve =
      backend != nullptr && backend->admin == Admin::Enabled && trying.address < backend->addresses.size();
  return may_serve ? backend : nullptr;
}

Attempts::Try Attempts::Trying::at(const Backend& backend, std::uint64_t now_ms) const {
  const std::uint64_t share = (give_up_ms - now_ms) / (backend.addresses.size() - address);
  return {&backend, &backend.addresses[address], now_ms + std::max<std::uint64_t>(share, 1)};
}

bool Attempts::leave(Trying& trying) {
  const Trying left = std::exchange(trying, {});
  if (left.id == 0) return false;
  const bool only_a_port = left.portless && !left.blamed;
  (only_a_port ? portless_ : tried_).push_back(left.id);
  if (only_a_port) --count_;
  // A backend that kept its backlog full all the while is at fault; our own shortage is not its affair.
  return left.blamed || (left.waiting && left.why == WaitFor::UnixBacklog);
}

Choice Attempts::choose(const Pool& pool, const ClientAddress& client, std::uint64_t now_ms) {
  std::vector<BackendId>& passed_over = tried_;
  const std::size_t tried = passed_over.size();
  passed_over.insert(passed_over.end(), portless_.begin(), portless_.end());
  passed_over.insert(passed_over.end(), full_.begin(), full_.end());
  if (trying_.id != 0) passed_over.push_back(trying_.id);
  const Choice choice = pool.choose({client, passed_over, now_ms, full_});
  passed_over.resize(tried);
  return choice;
}

Attempts::Next Attempts::next(const Pool* pool, const ClientAddress& client, std::uint64_t now_ms) {
  const bool hedge_goes_on = hedge_.id != 0;
  const Backend* const backend = pool != nullptr ? find(trying_, *pool, now_ms) : nullptr;
  if (hedge_goes_on && (backend == nullptr || trying_.waiting)) {
    to_blame_ = leave(trying_);
    trying_ = std::exchange(hedge_, {});
    return GoOn{trying_.give_up_ms};
  }
  if (pool == nullptr) {
    to_blame_ = leave(trying_);
    return GiveUp{count_ == 0 ? End::NoBackend : End::ConnectFailed};
  }
  if (backend != nullptr) {
    if (trying_.waiting)
      return Wait{{trying_.why, trying_.why == WaitFor::Descriptor ? 0 : trying_.id}, trying_.give_up_ms};
    return trying_.at(*backend, now_ms);
  }
  if (trying_.id != 0) to_blame_ = leave(trying_);
  if (count_ >= pool->settings().connect_attempts) return GiveUp{End::ConnectFailed};
  if (pool->limited() && !first_in_queue_ && pool->load()->newcomers_wait())
    return wait_for_room(*pool, now_ms);
  const Choice choice = choose(*pool, client, now_ms);
  if (choice.kind == Choice::Kind::Wait && choice.wait_for == WaitFor::BackendSlot)
    return wait_for_room(*pool, now_ms);
  if (choice.kind != Choice::Kind::Chosen)
    return wait_or_give_up(*pool, choice.kind == Choice::Kind::Wait, now_ms);
  ++count_;
  trying_ = {.id = choice.backend->id(), .give_up_ms = now_ms + timeout_ms(*pool)};
  return next(pool, client, now_ms);
}

std::optional<Attempts::Try> Attempts::hedge(const Pool& pool, const ClientAddress& client,
                                             std::uint64_t now_ms) {
  if (std::exchange(had_hedge_, true) || count_ >= pool.settings().connect_attempts) return std::nullopt;
  if (pool.limited() && pool.load()->newcomers_wait()) return std::nullopt;
  const Choice choice = choose(pool, client, now_ms);
  if (choice.kind != Choice::Kind::Chosen) return std::nullopt;
  if (choice.backend->for_one_session()) {
    choice.backend->load->trial_taken.store(false);
    return std::nullopt;
  }
  ++count_;
  hedge_ = {.id = choice.backend->id(), .give_up_ms = now_ms + timeout_ms(pool)};
  return hedge_.at(*choice.backend, now_ms);
}

std::optional<Attempts::Try> Attempts::next_of_hedge(const Pool* pool, ConnectFault fault,
                                                     std::uint64_t now_ms) {
  hedge_.failed(fault);
  const Backend* const backend = pool != nullptr ? find(hedge_, *pool, now_ms) : nullptr;
  // The first one is still there: nobody waits for the hedge's sake.
  if (backend == nullptr || hedge_.waiting) return std::nullopt;
  return hedge_.at(*backend, now_ms);
}

bool Attempts::drop_hedge() {
  const Trying left = std::exchange(hedge_, {});
  if (left.id == 0) return false;
  if (left.blamed) {
    tried_.push_back(left.id);
    return true;
  }
  // It was full, or no port or descriptor was left: nothing has been learnt of it.
  --count_;
  return false;
}

Attempts::Next Attempts::wait_or_give_up(const Pool& pool, bool verdict_to_come, std::uint64_t now_ms) {
  const GiveUp give_up{count_ == 0 && portless_.empty() ? End::NoBackend : End::ConnectFailed};
  if (portless_.empty() && !verdict_to_come) return give_up;
  if (wait_until_ms_ == 0) wait_until_ms_ = now_ms + timeout_ms(pool);
  if (now_ms >= wait_until_ms_) return give_up;
  if (portless_.empty()) return Wait{{WaitFor::FirstVerdict, 0}, wait_until_ms_};
  const BackendId backend = portless_.front();
  // Tried again, all of them, when the wait is over.
  portless_.clear();
  return Wait{{WaitFor::SourcePort, backend}, wait_until_ms_};
}

Attempts::Next Attempts::wait_for_room(const Pool& pool, std::uint64_t now_ms) {
  first_in_queue_ = false;
  particular_ = !tried_.empty() || !portless_.empty();
  // Tried again, all of them, when the wait is over.
  portless_.clear();
  full_.clear();
  const PoolSettings& settings = pool.settings();
  if (queue_until_ms_ == 0)
    queue_until_ms_ = now_ms + static_cast<std::uint64_t>(settings.queue_timeout.count());
  if (settings.queue == 0 || now_ms >= queue_until_ms_) return GiveUp{End::Overloaded};
  return Wait{{WaitFor::BackendSlot, pool.load()->id}, queue_until_ms_};
}

void Attempts::was_full() {
  --count_;
  full_.push_back(std::exchange(trying_, {}).id);
}

void Attempts::failed(ConnectFault fault) {
  first_in_queue_ = false;
  trying_.failed(fault);
}

void Attempts::Trying::failed(ConnectFault fault) {
  switch (fault) {
    case ConnectFault::Backend:
      blamed = true;
      ++address;
      break;
    case ConnectFault::AddressUnusable:
      ++address;
      break;
    case ConnectFault::NoSourcePort:
      portless = true;
      ++address;
      break;
    case ConnectFault::Shortage:
    case ConnectFault::BacklogFull:
      waiting = true;
      why = fault == ConnectFault::Shortage ? WaitFor::Descriptor : WaitFor::UnixBacklog;
      break;
  }
}

void Attempts::ended_at_once() {
  first_in_queue_ = false;
  trying_.blamed = true;
  trying_.address = UINT32_MAX;
}

}  // namespace weir
