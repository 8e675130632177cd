#include "lb/net/signals.h"

#include <csignal>

#include "lb/net/uv_access.h"

namespace weir {

struct SignalWatch::Handle {
  uv_signal_t signal{};
  std::function<void()> on_signal;
};

SignalWatch::SignalWatch(Loop& loop, int signal, std::function<void()> on_signal) : handle_(new Handle) {
  handle_->on_signal = std::move(on_signal);
  handle_->signal.data = handle_;
  WEIR_CHECK(uv_signal_init(LoopAccess::uv(loop), &handle_->signal) == 0);
  WEIR_CHECK(uv_signal_start(
                 &handle_->signal,
                 [](uv_signal_t* watch, int) { static_cast<Handle*>(watch->data)->on_signal(); },
                 signal) == 0);
}

SignalWatch::~SignalWatch() {
  uv_signal_stop(&handle_->signal);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_->signal),
           [](uv_handle_t* handle) { delete static_cast<Handle*>(handle->data); });
}

void ignore_sigpipe() {
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace weir
