#include "tests/support/upgradable.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/support/admin_client.h"

namespace weir::test {

Descendant::Descendant(pid_t pid) : pid_(pid), process_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {
  // When the process between has ended, it is this one's to reap.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

Descendant::~Descendant() {
  if (process_) ::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
  eventually([&] { return !running(); });
}

bool Descendant::running() const {
  if (!process_) return false;
  pollfd ended{process_.get(), POLLIN, 0};
  if (::poll(&ended, 1, 0) == 0) return true;
  siginfo_t ignored;
  ::waitid(P_PIDFD, static_cast<id_t>(process_.get()), &ignored, WEXITED | WNOHANG);
  return false;
}

Upgradable::Upgradable(std::vector<FakeBackendOptions> backends, SimpleConfig config,
                       const ProcessOptions& options) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  config.admin = fmt::format("socket = \"{}\"", socket());
  if (config.state_file.empty()) config.state_file = dir_.file("state.json");
  rig_ = std::make_unique<Rig>(std::move(backends), std::move(config), std::vector<std::string>(), options);
  rig_->weir().expect_exit();
}

Finished Upgradable::cli(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), weir_binary());
  arguments.insert(arguments.end(), {"--socket", socket()});
  return run_program(std::move(arguments), {}, patient(milliseconds(90'000)));
}

nlohmann::json Upgradable::ask(std::vector<std::string> arguments) const {
  arguments.insert(arguments.end(), {"-o", "json"});
  const Finished done = cli(std::move(arguments));
  if (done.status != 0)
    throw std::runtime_error(fmt::format("weir failed with status {}: {}", done.status, done.err));
  return nlohmann::json::parse(done.out);
}

nlohmann::json Upgradable::get(const std::string& what) const {
  return get_json(socket(), what);
}

pid_t Upgradable::upgrade(std::vector<std::string> more) {
  more.insert(more.begin(), "upgrade");
  const auto pid = ask(std::move(more)).at("pid").get<pid_t>();
  descendants_.push_back(std::make_unique<Descendant>(pid));
  return pid;
}

}  // namespace weir::test
