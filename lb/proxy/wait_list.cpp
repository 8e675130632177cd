#include "lb/proxy/wait_list.h"

#include <utility>

namespace weir {

WaitList::WaitList(Loop& owner, Summon summon)
    : owner_(owner),
      summon_(std::move(summon)),
      timer_(std::make_unique<Timer>(owner, [this] { summon_due(); })) {}

WaitList::~WaitList() = default;

void WaitList::close() {
  closed_ = true;
  timer_.reset();
}

std::uint64_t WaitList::now_ms() const {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Millis>(owner_.now()).count());
}

template <class Change>
void WaitList::post(Change change) {
  if (closed_) return;
  owner_.post([this, change] {
    change(queue_, now_ms());
    summon_due();
  });
}

void WaitList::summon_due() {
  owner_.refresh_now();
  while (const auto call = queue_.next(now_ms())) summon_(*call);
  if (const auto due = queue_.due_ms())
    timer_->start(Millis(*due > now_ms() ? *due - now_ms() : 0));
  else
    timer_->stop();
}

void WaitList::add(WaitKey key, Waiter waiter) {
  post([key, waiter](WaitQueue& queue, std::uint64_t now_ms) { queue.add(key, waiter, now_ms); });
}

void WaitList::withdraw(WaitKey key, Waiter waiter) {
  post([key, waiter](WaitQueue& queue, std::uint64_t) { queue.withdraw(key, waiter); });
}

void WaitList::wake(WaitKey key) {
  post([key](WaitQueue& queue, std::uint64_t now_ms) { queue.wake(key, now_ms); });
}

void WaitList::succeeded(WaitKey key) {
  post([key](WaitQueue& queue, std::uint64_t now_ms) { queue.succeeded(key, now_ms); });
}

void WaitList::failed(WaitKey key, Waiter waiter, bool particular) {
  post([key, waiter, particular](WaitQueue& queue, std::uint64_t now_ms) {
    queue.failed(key, waiter, particular, now_ms);
  });
}

}  // namespace weir
