#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>
#include <utility>

#include "health/probe.h"
#include "health/probe_loop.h"
#include "health/probe_socket.h"
#include "lb/net/descriptor_limit.h"
#include "lb/net/process.h"
#include "lb/net/socket.h"

namespace weir {
namespace {

class ExecProbe;

/// Owns every process, also those whose probe has gone: they have been killed and wait to be reaped.
class ExecProbes final : public ProbeFactory {
 public:
  explicit ExecProbes(ProbeLoop& loop) : loop_(loop) {}
  std::unique_ptr<Probe> create(const ProbeInput& input, Probe::Done done) override;
  bool idle() const override { return running_.empty(); }

  Result<void> run(ExecProbe& probe, const SpawnOptions& options);
  void abandon(const ExecProbe& probe);
  int pid_of(const ExecProbe& probe) const;  ///< 0 when it has none

 private:
  struct Running {
    std::unique_ptr<ChildProcess> process;
    ExecProbe* probe;  ///< null once it has gone
  };
  void on_exit(std::uint64_t id, ChildProcess::Exit exit);

  ProbeLoop& loop_;
  std::map<std::uint64_t, Running> running_;
  std::uint64_t last_id_ = 0;
};

std::vector<std::string> environment_for(const ProbeInput& input) {
  const Address& address = input.address;
  const char* path = std::getenv("PATH");
  return {
      fmt::format("PATH={}",
                  path != nullptr ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
      fmt::format("WEIR_POOL={}", input.pool),
      fmt::format("WEIR_BACKEND={}", input.backend),
      fmt::format("WEIR_ADDRESS={}", address.to_string()),
      fmt::format("WEIR_HOST={}", address.host_to_string()),
      fmt::format("WEIR_PORT={}", address.is_unix() ? std::string() : std::to_string(address.port()))};
}

/// Runs a command in a process group of its own; exit status 0 passes, and what is left of the group then is
/// killed. Sees the backend's first address only:
/// what the command makes of it is its own affair.
class ExecProbe final : public Probe {
 public:
  ExecProbe(ExecProbes& factory, const ProbeInput& input, Done done)
      : factory_(factory),
        command_(input.config.command),
        environment_(environment_for(input)),
        done_(std::move(done)) {}

  void cancel() override { factory_.abandon(*this); }

  void start() override {
    SpawnOptions options;
    options.command = command_;
    options.environment = environment_;
    options.own_process_group = true;
    options.descriptor_limit = first_descriptor_limit();
    const auto started = factory_.run(*this, options);
    if (started) return;
    const int code = started.error().code;
    const bool own = is_shortage(code) || code == EAGAIN;
    finish({own ? Outcome::OwnTrouble : Outcome::Failed,
            fmt::format("cannot run {}: {}", command_[0], errno_text(code)), true});
  }

  void look_again() override {
    // Without reaping it, which is libuv's to do.
    siginfo_t info{};
    const auto pid = static_cast<id_t>(factory_.pid_of(*this));
    if (pid == 0 || ::waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    const bool exited = info.si_code == CLD_EXITED;
    ended({exited ? info.si_status : 0, exited ? 0 : info.si_status});
  }

  bool connected() const override { return true; }

  void ended(ChildProcess::Exit exit) {
    if (exit.signal != 0)
      finish({Outcome::Failed, fmt::format("killed by signal {}", exit.signal), true});
    else if (exit.status != 0)
      finish({Outcome::Failed, fmt::format("exit status {}", exit.status), true});
    else
      finish({Outcome::Passed, "", true});
  }

 private:
  void finish(ProbeResult result) {
    if (std::exchange(finished_, true)) return;
    done_(std::move(result));
  }

  ExecProbes& factory_;
  std::vector<std::string> command_;
  std::vector<std::string> environment_;
  Done done_;
  bool finished_ = false;
};

std::unique_ptr<Probe> ExecProbes::create(const ProbeInput& input, Probe::Done done) {
  return std::make_unique<ExecProbe>(*this, input, std::move(done));
}

Result<void> ExecProbes::run(ExecProbe& probe, const SpawnOptions& options) {
  const std::uint64_t id = ++last_id_;
  auto process = ChildProcess::spawn(loop_.loop(), options, [this, id](auto exit) { on_exit(id, exit); });
  if (!process) return tl::unexpected(process.error());
  running_[id] = {std::move(*process), &probe};
  return {};
}

void ExecProbes::abandon(const ExecProbe& probe) {
  for (auto& [id, running] : running_) {
    if (running.probe != &probe) continue;
    running.process->kill(SIGKILL);
    running.probe = nullptr;
  }
}

int ExecProbes::pid_of(const ExecProbe& probe) const {
  const auto found =
      std::ranges::find_if(running_, [&](const auto& entry) { return entry.second.probe == &probe; });
  return found == running_.end() ? 0 : found->second.process->pid();
}

void ExecProbes::on_exit(std::uint64_t id, ChildProcess::Exit exit) {
  ExecProbe* const probe = running_.at(id).probe;
  running_.at(id).process->kill_orphans();
  running_.erase(id);
  if (probe != nullptr) probe->ended(exit);
}

}  // namespace

std::unique_ptr<ProbeFactory> make_exec_probes(ProbeLoop& loop) {
  return std::make_unique<ExecProbes>(loop);
}

}  // namespace weir
