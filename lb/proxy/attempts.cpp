#include "lb/proxy/attempts.h"

#include <algorithm>
#include <utility>

namespace weir {
namespace {

std::uint64_t timeout_ms(const Pool& pool) {
  return static_cast<std::uint64_t>(pool.settings().connect_timeout.count());
}

}  // namespace

const Backend* Attempts::current(const Pool& pool, std::uint64_t now_ms) const {
  if (current_ == 0 || now_ms >= give_up_ms_) return nullptr;
  const Backend* const backend = pool.find(current_);
  // Its health was judged when it was chosen: somebody who is ejected is better than nobody. What an operator
  // has said since counts.
  const bool may_serve =
      backend != nullptr && backend->admin == Admin::Enabled && address_ < backend->addresses.size();
  return may_serve ? backend : nullptr;
}

void Attempts::leave_current() {
  if (current_ == 0) return;
  // A backend that kept its backlog full all the while is at fault; our own shortage is not its affair.
  to_blame_ = blamed_ || (waiting_ && why_ == WaitFor::UnixBacklog);
  const bool only_a_port = portless_address_ && !blamed_;
  (only_a_port ? portless_ : tried_).push_back(std::exchange(current_, 0));
  if (only_a_port) --count_;
  waiting_ = blamed_ = portless_address_ = false;
}

Attempts::Next Attempts::next(const Pool* pool, const ClientAddress& client, std::uint64_t now_ms) {
  if (pool == nullptr) {
    leave_current();
    return GiveUp{count_ == 0 ? End::NoBackend : End::ConnectFailed};
  }
  if (const Backend* const backend = current(*pool, now_ms)) {
    if (waiting_) return Wait{{why_, why_ == WaitFor::Descriptor ? 0 : current_}, give_up_ms_};
    const std::uint64_t share = (give_up_ms_ - now_ms) / (backend->addresses.size() - address_);
    return Try{backend, &backend->addresses[address_], now_ms + std::max<std::uint64_t>(share, 1)};
  }
  leave_current();
  if (count_ >= pool->settings().connect_attempts) return GiveUp{End::ConnectFailed};
  if (pool->limited() && !first_in_queue_ && pool->load()->newcomers_wait())
    return wait_for_room(*pool, now_ms);
  std::vector<BackendId>& passed_over = tried_;
  const std::size_t tried = passed_over.size();
  passed_over.insert(passed_over.end(), portless_.begin(), portless_.end());
  passed_over.insert(passed_over.end(), full_.begin(), full_.end());
  const Choice choice = pool->choose({client, passed_over, now_ms});
  passed_over.resize(tried);
  // This version of the pool may be one that does not know of any limit yet.
  const bool somebody_is_full =
      !full_.empty() || (choice.kind == Choice::Kind::Wait && choice.wait_for == WaitFor::BackendSlot);
  if (choice.kind != Choice::Kind::Chosen && somebody_is_full) return wait_for_room(*pool, now_ms);
  if (choice.kind != Choice::Kind::Chosen)
    return wait_or_give_up(*pool, choice.kind == Choice::Kind::Wait, now_ms);
  ++count_;
  current_ = choice.backend->id();
  address_ = 0;
  give_up_ms_ = now_ms + timeout_ms(*pool);
  return next(pool, client, now_ms);
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
  full_.push_back(std::exchange(current_, 0));
}

void Attempts::failed(ConnectFault fault) {
  first_in_queue_ = false;
  switch (fault) {
    case ConnectFault::Backend:
      blamed_ = true;
      ++address_;
      break;
    case ConnectFault::AddressUnusable:
      ++address_;
      break;
    case ConnectFault::NoSourcePort:
      portless_address_ = true;
      ++address_;
      break;
    case ConnectFault::Shortage:
    case ConnectFault::BacklogFull:
      waiting_ = true;
      why_ = fault == ConnectFault::Shortage ? WaitFor::Descriptor : WaitFor::UnixBacklog;
      break;
  }
}

void Attempts::ended_at_once() {
  first_in_queue_ = false;
  blamed_ = true;
  address_ = UINT32_MAX;
}

}  // namespace weir
