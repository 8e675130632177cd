#include "lb/net/process.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "lb/net/uv_access.h"

namespace weir {

namespace {

/// Of the child that this thread is about to make; 0: that of this process.
thread_local std::uint64_t t_limit_of_child = 0;

/// Before a child runs its program: afterwards would be too late for one that looks at once, and uv_spawn
/// has no such option, but makes its child by fork().
void set_limits_in_children() {
  static const int registered = ::pthread_atfork(nullptr, nullptr, [] {
    rlimit limit{};
    if (t_limit_of_child == 0 || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = std::min<rlim_t>(t_limit_of_child, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  });
  WEIR_CHECK(registered == 0);
}

}  // namespace

struct ChildProcess::Handle {
  uv_process_t process{};
  bool own_group = false;
  bool exited = false;
  bool owned = true;  ///< false once the ChildProcess is gone
  std::function<void(Exit)> on_exit;

  static void release(uv_handle_t* handle) { delete static_cast<Handle*>(handle->data); }
  void close() { uv_close(reinterpret_cast<uv_handle_t*>(&process), release); }
};

Result<std::unique_ptr<ChildProcess>> ChildProcess::spawn(Loop& loop, const SpawnOptions& options,
                                                          std::function<void(Exit)> on_exit) {
  std::vector<char*> arguments;
  for (const auto& argument : options.command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  for (const auto& variable : options.environment) environment.push_back(const_cast<char*>(variable.c_str()));
  environment.push_back(nullptr);
  int highest = 2;
  for (const auto& [there, here] : options.descriptors) highest = std::max(highest, there);
  std::vector<uv_stdio_container_t> descriptors(static_cast<std::size_t>(highest) + 1);
  for (auto& descriptor : descriptors) descriptor.flags = UV_IGNORE;
  for (const auto& [there, here] : options.descriptors) {
    descriptors[static_cast<std::size_t>(there)].flags = UV_INHERIT_FD;
    descriptors[static_cast<std::size_t>(there)].data.fd = here;
  }

  auto* const handle = new Handle;
  handle->own_group = options.own_process_group;
  handle->on_exit = std::move(on_exit);
  handle->process.data = handle;
  uv_process_options_t uv_options{};
  uv_options.file = arguments[0];
  uv_options.args = arguments.data();
  uv_options.env = environment.data();
  uv_options.stdio = descriptors.data();
  uv_options.stdio_count = static_cast<int>(descriptors.size());
  uv_options.flags = options.own_process_group ? UV_PROCESS_DETACHED : 0;
  uv_options.exit_cb = [](uv_process_t* process, std::int64_t status, int signal) {
    auto* const self = static_cast<Handle*>(process->data);
    self->exited = true;
    if (!self->owned) {
      self->close();
      return;
    }
    // Moved out first: the callback may destroy the ChildProcess.
    const auto on_exit_once = std::move(self->on_exit);
    if (on_exit_once) on_exit_once({static_cast<int>(status), signal});
  };
  t_limit_of_child = options.descriptor_limit.value_or(0);
  set_limits_in_children();
  const int error = uv_spawn(LoopAccess::uv(loop), &handle->process, &uv_options);
  t_limit_of_child = 0;
  if (error != 0) {
    handle->close();
    return fail_errno(fmt::format("cannot start {}", options.command[0]), -error);
  }
  return std::unique_ptr<ChildProcess>(new ChildProcess(handle));
}

ChildProcess::~ChildProcess() {
  handle_->owned = false;
  if (handle_->exited)
    handle_->close();
  else
    uv_unref(reinterpret_cast<uv_handle_t*>(&handle_->process));
}

void close_orphan(uv_process_t* process) {
  uv_close(reinterpret_cast<uv_handle_t*>(process), ChildProcess::Handle::release);
}

int ChildProcess::pid() const {
  return handle_->process.pid;
}

void ChildProcess::kill_orphans() {
  // The number is not anybody else's as long as the group has members; without any this does nothing.
  if (handle_->exited && handle_->own_group) ::kill(-pid(), SIGKILL);
}

void ChildProcess::kill(int signal) {
  if (!handle_->exited) ::kill(handle_->own_group ? -pid() : pid(), signal);
}

}  // namespace weir
