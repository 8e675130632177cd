#include "lb/net/timer.h"

#include "lb/net/uv_access.h"

namespace weir {

struct Timer::Handle {
  uv_timer_t timer{};
  /// For a delay of nothing: libuv up to 1.44 runs a timer that is due again from its own callback at once,
  /// before it looks at a descriptor, for as long as that goes on.
  uv_idle_t soon{};
  int open = 2;  ///< of the two
  Loop* loop = nullptr;
  Timer* owner = nullptr;  ///< null once the Timer is gone and libuv has yet to let go
  std::function<void()> on_expiry;

  uv_handle_t* timer_handle() { return reinterpret_cast<uv_handle_t*>(&timer); }
  uv_handle_t* soon_handle() { return reinterpret_cast<uv_handle_t*>(&soon); }
  void expire() {
    --LoopAccess::active_timers(*loop);
    if (owner != nullptr) on_expiry();
  }
  static void on_closed(uv_handle_t* handle) {
    auto* const self = static_cast<Handle*>(handle->data);
    if (--self->open == 0) delete self;
  }
};

Timer::Timer(Loop& loop, std::function<void()> on_expiry) : handle_(new Handle) {
  handle_->loop = &loop;
  handle_->owner = this;
  handle_->on_expiry = std::move(on_expiry);
  handle_->timer.data = handle_->soon.data = handle_;
  WEIR_CHECK(uv_timer_init(LoopAccess::uv(loop), &handle_->timer) == 0);
  WEIR_CHECK(uv_idle_init(LoopAccess::uv(loop), &handle_->soon) == 0);
}

Timer::~Timer() {
  stop();
  handle_->owner = nullptr;
  uv_close(handle_->timer_handle(), &Handle::on_closed);
  uv_close(handle_->soon_handle(), &Handle::on_closed);
}

void Timer::start(Millis delay) {
  stop();
  ++LoopAccess::active_timers(*handle_->loop);
  if (delay.count() <= 0) {
    uv_idle_start(&handle_->soon, [](uv_idle_t* soon) {
      uv_idle_stop(soon);
      static_cast<Handle*>(soon->data)->expire();
    });
    return;
  }
  uv_loop_t* const loop = LoopAccess::uv(*handle_->loop);
  uv_update_time(loop);
  // libuv counts from the last whole millisecond of its clock (the monotonic one, too); a busy loop would
  // find the timer due that much too early.
  const auto due = std::chrono::ceil<Millis>(std::chrono::steady_clock::now().time_since_epoch() + delay);
  uv_timer_start(
      &handle_->timer, [](uv_timer_t* timer) { static_cast<Handle*>(timer->data)->expire(); },
      static_cast<std::uint64_t>(due.count()) - uv_now(loop), 0);
}

void Timer::stop() {
  if (!active()) return;
  --LoopAccess::active_timers(*handle_->loop);
  uv_timer_stop(&handle_->timer);
  uv_idle_stop(&handle_->soon);
}

bool Timer::active() const {
  return uv_is_active(handle_->timer_handle()) != 0 || uv_is_active(handle_->soon_handle()) != 0;
}

}  // namespace weir
