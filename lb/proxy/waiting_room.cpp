#include "lb/proxy/waiting_room.h"

#include <algorithm>
#include <functional>
#include <set>

#include "lb/proxy/listener.h"
#include "lb/proxy/session.h"

namespace weir {

Waiter WaitingRoom::waiter(const Session& session) const {
  return {session.times().accepted.count(), worker_, session.number()};
}

void WaitingRoom::announce(const Entry& entry, bool begins) {
  if (entry.queue && !begins) entry.queue->leave(entry.particular);
  if (entry.key.why == WaitFor::Descriptor) admission_.descriptor_awaited(begins);
  if (!entry.load) return;
  if (begins)
    entry.load->waiting.fetch_add(1);
  else
    entry.load->waiting.fetch_sub(1);
}

bool WaitingRoom::goes_on_waiting(const Session& session, WaitKey key, bool particular) {
  const auto found = waiting_.find(session.number());
  if (found == waiting_.end() || found->second.key != key || found->second.particular != particular)
    return false;
  if (std::exchange(found->second.summoned, false)) list_->failed(key, waiter(session), particular);
  return true;
}

void WaitingRoom::enter(Session& session, WaitKey key, std::shared_ptr<BackendLoad> load) {
  if (goes_on_waiting(session, key)) return;
  leave(session);
  if (key.why == WaitFor::FirstVerdict) {
    for_verdict_.emplace(session.number(), &session);
    return;
  }
  const Entry& entry =
      waiting_.emplace(session.number(), Entry{&session, key, std::move(load), nullptr, false}).first->second;
  announce(entry, true);
  list_->add(key, waiter(session));
}

PoolLoad::Joined WaitingRoom::join_queue(Session& session, const Pool& pool, bool particular) {
  const WaitKey key{WaitFor::BackendSlot, pool.load()->id};
  if (goes_on_waiting(session, key, particular)) return PoolLoad::Joined::Yes;
  leave(session);
  const PoolLoad::Joined joined = pool.load()->join(pool.settings().queue, particular, *list_);
  if (joined == PoolLoad::Joined::No) return joined;
  const Entry& entry =
      waiting_.emplace(session.number(), Entry{&session, key, nullptr, pool.load(), particular})
          .first->second;
  announce(entry, true);
  list_->add(key, waiter(session));
  return joined;
}

void WaitingRoom::leave(Session& session) {
  if (for_verdict_.erase(session.number()) > 0) return;
  const auto found = waiting_.find(session.number());
  if (found == waiting_.end()) return;
  const Entry entry = std::move(found->second);
  waiting_.erase(found);
  announce(entry, false);
  if (entry.summoned)
    list_->succeeded(entry.key);
  else
    list_->withdraw(entry.key, waiter(session));
  // Newcomers were kept out for it.
  if (entry.key.why == WaitFor::Descriptor) admission_.wake_waiting();
}

bool WaitingRoom::may_try(const Session& session, const BackendLoad& load) const {
  if (load.waiting.load(std::memory_order_relaxed) == 0) return true;
  const auto found = waiting_.find(session.number());
  return found != waiting_.end() && found->second.summoned && found->second.load.get() == &load;
}

void WaitingRoom::summon(const WaitQueue::Call& call) {
  const auto found = waiting_.find(call.waiter.session);
  if (found == waiting_.end() || found->second.key != call.key) return list_->returned(call.key);
  found->second.summoned = true;
  found->second.session->on_summoned(call.key.why);
}

void WaitingRoom::freed(const BackendLoad& load) {
  list_->wake({WaitFor::SourcePort, load.id});
  list_->wake({WaitFor::UnixBacklog, load.id});
}

void WaitingRoom::pools_changed() {
  looking_from_ = for_verdict_.empty() ? UINT64_MAX : 0;
  orphans_.clear();
  std::set<WaitKey> queues;
  for (const auto& [number, entry] : waiting_) {
    if (is_orphan(entry))
      orphans_.push_back(number);
    else if (entry.queue)
      queues.insert(entry.key);
  }
  std::ranges::sort(orphans_, std::greater());
  for (const WaitKey& key : queues) list_->wake(key);
}

bool WaitingRoom::is_orphan(const Entry& entry) {
  if (entry.key.of == 0) return false;
  const auto& pool = entry.session->pool();
  if (pool == nullptr) return true;
  if (entry.queue) return !pool->limited() || pool->load() != entry.queue;
  return pool->find(entry.key.of) == nullptr;
}

bool WaitingRoom::step() {
  std::size_t served = 0;
  for (; served < kServedPerTurn && !orphans_.empty(); ++served) {
    const auto orphan = waiting_.find(orphans_.back());
    orphans_.pop_back();
    if (orphan != waiting_.end()) orphan->second.session->on_summoned(WaitFor::FirstVerdict);
  }
  if (looking_from_ == UINT64_MAX) return !orphans_.empty();
  for (; served < kServedPerTurn; ++served) {
    const auto next = for_verdict_.lower_bound(looking_from_);
    if (next == for_verdict_.end()) {
      looking_from_ = UINT64_MAX;
      return false;
    }
    looking_from_ = next->first + 1;
    // It may go on, or enter again.
    next->second->on_summoned(WaitFor::FirstVerdict);
  }
  return true;
}

}  // namespace weir
