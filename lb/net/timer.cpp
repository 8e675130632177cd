#include "lb/net/timer.h"

#include "lb/net/uv_access.h"

namespace weir {

struct Timer::Handle {
  uv_timer_t timer{};
  Loop* loop = nullptr;
  Timer* owner = nullptr;  ///< null once the Timer is gone and libuv has yet to let go
  std::function<void()> on_expiry;
};

Timer::Timer(Loop& loop, std::function<void()> on_expiry) : handle_(new Handle) {
  handle_->loop = &loop;
  handle_->owner = this;
  handle_->on_expiry = std::move(on_expiry);
  handle_->timer.data = handle_;
  WEIR_CHECK(uv_timer_init(LoopAccess::uv(loop), &handle_->timer) == 0);
}

Timer::~Timer() {
  stop();
  handle_->owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_->timer),
           [](uv_handle_t* handle) { delete static_cast<Handle*>(handle->data); });
}

void Timer::start(Millis delay) {
  if (!active()) ++LoopAccess::active_timers(*handle_->loop);
  uv_loop_t* const loop = LoopAccess::uv(*handle_->loop);
  uv_update_time(loop);
  // libuv counts from the last whole millisecond of its clock (the monotonic one, too); a busy loop would
  // find the timer due that much too early.
  std::uint64_t millis = 0;
  if (delay.count() > 0) {
    const auto due = std::chrono::ceil<Millis>(std::chrono::steady_clock::now().time_since_epoch() + delay);
    millis = static_cast<std::uint64_t>(due.count()) - uv_now(loop);
  }
  uv_timer_start(
      &handle_->timer,
      [](uv_timer_t* timer) {
        auto* const handle = static_cast<Handle*>(timer->data);
        --LoopAccess::active_timers(*handle->loop);
        if (handle->owner != nullptr) handle->on_expiry();
      },
      millis, 0);
}

void Timer::stop() {
  if (!active()) return;
  --LoopAccess::active_timers(*handle_->loop);
  uv_timer_stop(&handle_->timer);
}

bool Timer::active() const {
  return uv_is_active(reinterpret_cast<const uv_handle_t*>(&handle_->timer)) != 0;
}

}  // namespace weir
