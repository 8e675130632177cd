#include "lb/net/loop.h"

#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <concurrentqueue/concurrentqueue.h>
#include <cerrno>
#include <utility>

#include "lb/net/raw_calls.h"
#include "lb/net/uv_access.h"

namespace weir {

static_assert(events::kReadable == EPOLLIN && events::kUrgent == EPOLLPRI && events::kWritable == EPOLLOUT &&
              events::kError == EPOLLERR && events::kHangUp == EPOLLHUP &&
              events::kPeerClosed == EPOLLRDHUP && events::kExclusive == EPOLLEXCLUSIVE &&
              events::kEdge == static_cast<std::uint32_t>(EPOLLET));

namespace {

/// Events taken by one epoll_wait. More would only delay the end of the turn.
constexpr int kBatch = 256;
/// How often the posts are looked through after stop().
constexpr int kLastRounds = 8;

}  // namespace

struct Loop::Uv {
  uv_loop_t loop{};
  uv_async_t wake{};
  int active_timers = 0;
  /// A wake-up is under way. Of our own, since libuv's looks whether it is pending without ordering that
  /// look behind what was posted before it: a post could stay behind.
  std::atomic<bool> waking{false};
  moodycamel::ConcurrentQueue<std::function<void()>> posts;
};

uv_loop_t* LoopAccess::uv(Loop& loop) {
  return &loop.uv_->loop;
}
int& LoopAccess::active_timers(Loop& loop) {
  return loop.uv_->active_timers;
}

Loop::Loop() : uv_(std::make_unique<Uv>()) {}

Result<std::unique_ptr<Loop>> Loop::create() {
  auto uv = std::make_unique<Uv>();
  if (const int error = uv_loop_init(&uv->loop); error != 0)
    return fail_errno("cannot create an event loop", -error);
  std::unique_ptr<Loop> loop(new Loop);
  loop->uv_ = std::move(uv);
  uv_loop_t* const uv_loop = &loop->uv_->loop;
  uv_loop->data = loop.get();
  // The one handle that is always there: an empty libuv loop never polls.
  if (const int error =
          uv_async_init(uv_loop, &loop->uv_->wake,
                        [](uv_async_t* wake) { static_cast<Loop*>(wake->loop->data)->drain_posts(); });
      error != 0)
    return fail_errno("cannot create an event loop's wake-up", -error);
  loop->epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (loop->epoll_fd_ < 0) return fail_errno("cannot create an epoll set", errno);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (epoll_ctl(loop->epoll_fd_, EPOLL_CTL_ADD, uv_backend_fd(uv_loop), &event) != 0)
    return fail_errno("cannot watch libuv's loop", errno);
  loop->refresh_now();
  return loop;
}

Loop::~Loop() {
  uv_loop_t* const loop = &uv_->loop;
  if (loop->data != nullptr) {
    if (uv_->wake.type == UV_ASYNC) uv_close(reinterpret_cast<uv_handle_t*>(&uv_->wake), nullptr);
    uv_walk(
        loop,
        [](uv_handle_t* handle, void*) {
          if (handle->type == UV_PROCESS && uv_has_ref(handle) == 0 && uv_is_closing(handle) == 0)
            close_orphan(reinterpret_cast<uv_process_t*>(handle));
        },
        nullptr);
    // Runs the close callbacks of the handles whose owners have gone; whatever is still open has an owner
    // that is not.
    while (uv_run(loop, UV_RUN_ONCE) != 0 && uv_loop_alive(loop) != 0) {
    }
    WEIR_CHECK(uv_loop_close(loop) == 0);
  }
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
}

void Loop::post(std::function<void()> task) {
  uv_->posts.enqueue(std::move(task));
  wake();
}

void Loop::wake() {
  if (!uv_->waking.exchange(true)) uv_async_send(&uv_->wake);
}

void Loop::drain_posts() {
  uv_->waking.exchange(false);
  std::function<void()> task;
  // What these tasks post in their turn waits behind the descriptors that are ready.
  for (std::size_t left = uv_->posts.size_approx(); left > 0 && uv_->posts.try_dequeue(task); --left) {
    task();
    task = nullptr;
  }
}

void Loop::stop() {
  stopping_.store(true, std::memory_order_release);
  wake();
}

Result<void> Loop::watch(int fd, Watcher& watcher, std::uint32_t interest) {
  epoll_event event{};
  event.events = interest;
  event.data.ptr = &watcher;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0)
    return fail_errno("cannot watch a descriptor", errno);
  return {};
}

void Loop::change_interest(int fd, Watcher& watcher, std::uint32_t interest) {
  epoll_event event{};
  event.events = interest;
  event.data.ptr = &watcher;
  WEIR_CHECK(epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void Loop::unwatch(int fd) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

std::chrono::nanoseconds Loop::refresh_now() {
  now_ = std::chrono::steady_clock::now().time_since_epoch();
  now_ms_ = static_cast<std::uint64_t>(std::chrono::duration_cast<Millis>(now_).count());
  return now_;
}

void Loop::run_uv() {
  uv_run(&uv_->loop, UV_RUN_NOWAIT);
}

int Loop::wait_timeout_ms() const {
  // Without timers libuv's answer does not depend on the time, which then need not be read.
  if (uv_->active_timers > 0) uv_update_time(&uv_->loop);
  const int uv_timeout = uv_backend_timeout(&uv_->loop);
  const auto turn = turn_sleep_.count();
  if (turn < 0) return uv_timeout;
  const int turn_timeout = turn > 60'000 ? 60'000 : static_cast<int>(turn);
  return uv_timeout < 0 || turn_timeout < uv_timeout ? turn_timeout : uv_timeout;
}

int Loop::wait(std::span<epoll_event> batch, int timeout_ms) {
  if (timeout_ms != 0 && busy_polling_.polls())
    if (const int count = poll(batch, timeout_ms); count != 0 || busy_polling_.instead_of_sleep())
      return count;
  const int count = raw::epoll_wait(epoll_fd_, batch.data(), kBatch, timeout_ms);
  refresh_now();
  const auto between = now_ - std::exchange(woken_, now_);
  if (timeout_ms != 0) busy_polling_.on_slept(between);
  return count;
}

int Loop::poll(std::span<epoll_event> batch, int timeout_ms) {
  const bool instead_of_sleep = busy_polling_.instead_of_sleep();
  const auto began = refresh_now();
  const auto worked = began - woken_;
  auto last = began;
  auto until = began + BusyPolling::kWindow;
  if (instead_of_sleep) until = timeout_ms < 0 ? std::chrono::nanoseconds::max() : began + Millis(timeout_ms);
  while (true) {
    const int count = raw::epoll_wait(epoll_fd_, batch.data(), kBatch, 0);
    const auto gap = refresh_now() - last;
    last = now_;
    const bool taken = gap >= BusyPolling::kTaken;
    if (count != 0 && !taken)
      busy_polling_.on_hit(worked, now_ - began);
    else if (taken || now_ >= until)
      busy_polling_.on_vain();
    woken_ = now_;
    if (count != 0 || now_ >= until || (taken && !instead_of_sleep)) return count;
    sched_yield();
  }
}

void Loop::run() {
  epoll_event batch[kBatch];
  if (turn_ != nullptr) turn_sleep_ = turn_->on_turn_end();
  while (true) {
    const int timeout = wait_timeout_ms();
    const int count = wait(batch, timeout);
    WEIR_CHECK(count >= 0 || errno == EINTR);
    batch_was_full_ = count == kBatch || count < 0;  // interrupted: nobody knows
    // A due timer of libuv's does not make its descriptor readable; a timeout of 0 from it means that it has
    // work to flush.
    bool uv_due = count <= 0 || timeout == 0 || uv_->active_timers > 0;
    for (int i = 0; i < count; ++i) {
      if (batch[i].data.ptr == nullptr)
        uv_due = true;
      else
        static_cast<Watcher*>(batch[i].data.ptr)->on_events(batch[i].events);
    }
    if (uv_due) run_uv();
    turn_sleep_ = turn_ != nullptr ? turn_->on_turn_end() : Millis(-1);
    if (stopping_.load(std::memory_order_acquire)) {
      // A post that comes in meanwhile may be taken before an older one, hence the rounds; a task that posts
      // itself again is not waited for.
      for (int round = 0; round < kLastRounds && uv_->posts.size_approx() > 0; ++round) drain_posts();
      return;
    }
  }
}

}  // namespace weir
