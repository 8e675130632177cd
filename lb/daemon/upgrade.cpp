#include "lb/daemon/upgrade.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lb/base/counted.h"
#include "lb/base/log.h"
#include "lb/control/event_json.h"
#include "lb/daemon/first_process.h"
#include "lb/net/descriptor_limit.h"

extern char** environ;

namespace weir {
namespace {

using Json = nlohmann::ordered_json;
using Kind = CommandError::Kind;

constexpr const char* kBusy = "upgrading, ask again";

/// The child's environment: this process's own, but for what systemd said of this process alone.
std::vector<std::string> environment_with(std::string variable) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!text.starts_with("WATCHDOG_PID=") && !text.starts_with(std::string(kInheritVariable) + "="))
      out.emplace_back(text);
  }
  out.push_back(std::move(variable));
  return out;
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string describe(ChildProcess::Exit exit) {
  return exit.signal != 0 ? fmt::format("was ended by signal {}", exit.signal)
                          : fmt::format("exited with status {}", exit.status);
}

}  // namespace

std::string own_program() {
  std::ifstream command_line("/proc/self/cmdline");
  std::string name;
  std::getline(command_line, name, '\0');
  std::error_code error;
  // As it was named, so that a symbolic link is followed anew.
  if (name.find('/') != std::string::npos) return std::filesystem::absolute(name, error).string();
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

Upgrade::Upgrade(UpgradeParts parts)
    : parts_(std::move(parts)), patience_(parts_.loop, [this] {
        if (child_ != nullptr) child_->kill(SIGKILL);
        fail_with(fmt::format("it did not serve within {}", format_duration(kPatience)));
      }) {}

void Upgrade::begin(UpgradeOrder order, UpgradeDone done) {
  if (order.binary.empty()) order.binary = parts_.program;
  // Not the standard library's, which a std::string would choose.
  const std::string binary = weir::quoted(order.binary);
  const auto refuse = [&](Kind kind, std::string why) {
    done(tl::unexpected(CommandError{kind, std::move(why)}));
  };
  if (!order.privileged && !parts_.registry.config()->admin.any_upgrade && order.binary != parts_.program)
    return refuse(
        Kind::Refused,
        fmt::format("admin.upgrade = \"same\" lets you start {} only; root and the user Weir runs as may "
                    "start another program",
                    weir::quoted(parts_.program)));
  if (!order.binary.starts_with('/'))
    return refuse(Kind::Usage, fmt::format("{} is not an absolute path", binary));
  if (::access(order.binary.c_str(), X_OK) != 0)
    return refuse(Kind::Refused, fail_errno(binary, errno).value().message);
  if (parts_.ending()) return refuse(Kind::Refused, "this process has been told to end");
  phase_ = Phase::Starting;
  child_ended_ = false;
  order_ = std::move(order);
  done_ = std::move(done);
  patience_.start(kPatience);
  parts_.reload_file.rehearse_upgrade([this, number = ++number_](const ReloadReport& report) {
    if (phase_ != Phase::Starting || number != number_) return;
    foreseen_ = report;
    if (auto refused = file_refusal()) return end_with(std::move(*refused));
    begin_start();
  });
}

void Upgrade::begin_start() {
  auto bound = bind_private_socket();
  if (!bound)
    return end_with({Kind::Refused, fmt::format("this process's sessions would be out of sight: {}",
                                                bound.error().message)});
  private_socket_ = std::move(*bound);
  daemon_log().info("upgrade: starting {}", weir::quoted(order_.binary));
  children_.emplace(parts_.fleet);
  parts_.clients([this, number = number_](SessionsByClient clients) {
    if (phase_ != Phase::Starting || number != number_) return;
    clients_ = std::move(clients);
    hand_over_listeners();
  });
}

void Upgrade::hand_over_listeners() {
  parts_.fleet.duplicate_listeners([this, number = number_](std::optional<std::vector<Fd>> sockets) {
    if (phase_ != Phase::Starting || number != number_) return;
    if (!sockets) return fail_with("there were no descriptors left to hand over");
    if (auto started = start(std::move(*sockets)); !started) fail_with(started.error().message);
  });
}

std::optional<CommandError> Upgrade::file_refusal() const {
  if (!foreseen_.done) {
    std::vector<std::string> faults;
    for (const auto& fault : foreseen_.faults) faults.push_back(fault.to_string(foreseen_.file));
    return CommandError{Kind::Refused, foreseen_.error, std::move(faults)};
  }
  const auto& applied = foreseen_.applied;
  if (applied.bereft.empty() || order_.force) return std::nullopt;
  std::string why;
  for (const std::string& note : applied.notes)
    if (note.find(" has nobody: ") != std::string::npos) why += (why.empty() ? "" : "; ") + note;
  return CommandError{
      Kind::Refused,
      fmt::format("by {} as it is now, {}; to upgrade all the same, use --force", foreseen_.file, why)};
}

Result<void> Upgrade::start(std::vector<Fd> sockets) {
  auto bequeathed = parts_.listening.bequeath(std::move(sockets));
  if (!bequeathed) return tl::unexpected(bequeathed.error());
  Inheritance inheritance;
  inheritance.sockets = std::move(*bequeathed);
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno("cannot make a channel to the new process", errno);
  Fd own(pair[0]);
  inheritance.channel = Fd(pair[1]);
  if (parts_.first_process)
    inheritance.first_process = Fd(::fcntl(parts_.first_process.get(), F_DUPFD_CLOEXEC, 3));
  inheritance.standard_error = Fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!inheritance.standard_error) return fail_errno("a descriptor for the new process", errno);
  inheritance.admin = Fd(::fcntl(parts_.admin.listening(), F_DUPFD_CLOEXEC, 3));
  inheritance.read_only_admin =
      Fd(::fcntl(parts_.admin.listening(AdminApi::Level::Look), F_DUPFD_CLOEXEC, 3));
  auto web = parts_.web.duplicate();
  if (!web) return tl::unexpected(web.error());
  inheritance.web = std::move(*web);
  inheritance.predecessors = parts_.predecessors.list();
  // By hand: the disk may not have them, and the new process may keep them elsewhere.
  inheritance.overrides = format_state(parts_.registry.overrides());
  legacy_ = parts_.registry.legacy();
  inheritance.legacy = legacy_;
  inheritance.legacy->clients = std::exchange(clients_, {});
  inheritance.events = to_json(parts_.events.find({}));
  if (const History* const kept = parts_.history()) inheritance.history = kept->to_bytes();
  inheritance.tokens = parts_.tokens();
  inheritance.by = order_.by;
  inheritance.first_descriptor_limit = first_descriptor_limit();
  auto bequest = bequeath(inheritance);
  if (!bequest) return tl::unexpected(bequest.error());
  SpawnOptions options;
  options.command = {order_.binary, "run", "-c", parts_.registry.config()->file};
  options.environment = environment_with(std::move(bequest->variable));
  options.descriptors = std::move(bequest->descriptors);
  auto output = StartOutput::create(parts_.loop);
  if (!output) return tl::unexpected(output.error());
  options.descriptors.insert(options.descriptors.end(),
                             {{STDOUT_FILENO, STDOUT_FILENO}, {STDERR_FILENO, (*output)->child_end()}});
  auto channel = UpgradeChannel::create(parts_.loop, std::move(own),
                                        [this](const std::optional<std::string>& line) { on_word(line); });
  if (!channel) return tl::unexpected(channel.error());
  auto child = ChildProcess::spawn(parts_.loop, options, [this](ChildProcess::Exit exit) { on_exit(exit); });
  if (!child) return tl::unexpected(child.error());
  (*output)->close_child_end();
  output_ = std::move(*output);
  channel_ = std::move(*channel);
  child_ = std::move(*child);
  patience_.start(kPatience);
  return {};
}

void Upgrade::on_word(const std::optional<std::string>& line) {
  // A process that hangs up has ended or is about to, which on_exit() hears.
  if (phase_ != Phase::Starting || !line) return;
  const auto word = Json::parse(*line, nullptr, false);
  if (!word.is_object() || !word.contains("serving")) return;
  std::vector<std::string> unused;
  for (const auto& address : word.value("unused", Json::array()))
    if (address.is_string()) unused.push_back(address.get<std::string>());
  step_back(unused);
}

void Upgrade::step_back(const std::vector<std::string>& unused) {
  patience_.stop();
  phase_ = Phase::Superseded;
  children_.reset();
  parts_.listening.give_up(unused, parts_.fleet);
  parts_.fleet.when_settled([this] {
    parts_.state.leave();
    parts_.registry.hand_over(legacy_);
    parts_.events.hand_over();
    legacy_ = {};
    parts_.service.hand_over(child_->pid());
    const std::string socket = open_private_socket();
    parts_.admin.leave(AdminApi::Level::Look);
    parts_.web.leave();
    parts_.predecessors.clear();
    channel_->say(text_of({{"free", true}, {"pid", ::getpid()}, {"socket", socket}}));
    const UpgradeReport report{
        order_.binary,          child_->pid(), ::getpid(), parts_.sessions(), foreseen_.applied.changes,
        foreseen_.applied.notes};
    daemon_log().info("upgrade: process {} serves; {} left here", report.pid,
                      counted(report.sessions, "session"));
    std::exchange(done_, nullptr)(report);
    parts_.on_superseded(order_);
    if (std::exchange(reload_wanted_, false)) passes_reload_on();
  });
}

std::string Upgrade::private_path() const {
  return fmt::format("{}.{}", parts_.registry.config()->admin.socket, ::getpid());
}

Result<Fd> Upgrade::bind_private_socket() const {
  AdminConfig config = parts_.registry.config()->admin;
  if (config.socket.empty()) return Fd();
  config.socket = private_path();
  config.socket_given = true;
  return AdminApi::bind(config);
}

std::string Upgrade::open_private_socket() {
  if (private_socket_) {
    const auto served = parts_.admin.serve(std::move(private_socket_), private_path());
    if (served) return private_path();
    daemon_log().warn("the sessions of this process are out of sight: {}", served.error().message);
  } else {
    daemon_log().warn("the sessions of this process are out of sight: there is no admin socket");
  }
  // Whoever asks there is the new process's to answer, in any case.
  parts_.admin.leave(AdminApi::Level::All);
  return "";
}

void Upgrade::on_exit(ChildProcess::Exit exit) {
  child_ended_ = true;
  if (phase_ == Phase::Superseded) {
    tell_first_process_of_end(parts_.first_process, child_->pid(),
                              exit.signal != 0 ? 128 + exit.signal : exit.status);
    if (exit.signal == 0 && exit.status == 0)
      daemon_log().info("process {}, which took over, {}: it was told to end, or superseded itself",
                        child_->pid(), describe(exit));
    else
      daemon_log().error("process {}, which took over, {}", child_->pid(), describe(exit));
  } else if (phase_ == Phase::Starting) {
    fail_with(fmt::format("{} {} before it served", weir::quoted(order_.binary), describe(exit)));
  }
}

void Upgrade::fail_with(std::string reason) {
  // One that is told to end may have a child that has not come to its exec yet.
  if (!parts_.ending()) children_.reset();
  std::string wrote = output_ != nullptr ? output_->text() : "";
  while (wrote.ends_with('\n')) wrote.pop_back();
  // Later: this may be a callback of theirs.
  parts_.loop.post([child = std::shared_ptr<ChildProcess>(std::move(child_)),
                    channel = std::shared_ptr<UpgradeChannel>(std::move(channel_)),
                    output = std::shared_ptr<StartOutput>(std::move(output_))] {});
  parts_.events.tell(spdlog::level::err, {.time = std::chrono::system_clock::now(),
                                          .kind = Event::Kind::Upgrade,
                                          .text = "upgrade failed, this process serves on: " + reason,
                                          .by = order_.by});
  if (!wrote.empty()) reason += "; it wrote:\n" + wrote;
  end_with({Kind::Failed, fmt::format("the upgrade failed, the old process serves on: {}", reason)});
}

void Upgrade::end_with(CommandError error) {
  patience_.stop();
  phase_ = Phase::None;
  if (std::exchange(private_socket_, Fd())) ::unlink(private_path().c_str());
  std::exchange(done_, nullptr)(tl::unexpected(std::move(error)));
  if (std::exchange(reload_wanted_, false) && !parts_.ending()) parts_.reload();
}

bool Upgrade::passes_reload_on() {
  if (phase_ == Phase::None) return false;
  if (phase_ == Phase::Starting || done_ != nullptr) {
    daemon_log().info("reload: an upgrade is under way, whoever serves after it will reload");
    reload_wanted_ = true;
  } else if (child_ != nullptr && !child_ended_) {
    daemon_log().info("reload: passed on to process {}, which serves", child_->pid());
    child_->kill(SIGHUP);
  } else if (reload_request_ != nullptr) {
    reload_wanted_ = true;
  } else {
    ask_newest_to_reload();
  }
  return true;
}

void Upgrade::ask_newest_to_reload() {
  const std::string& socket = parts_.registry.config()->admin.socket;
  if (socket.empty()) {
    daemon_log().warn("reload: not passed on: who serves now cannot be asked without an admin socket");
    return;
  }
  reload_request_ = std::make_unique<AdminRequest>(
      parts_.loop, [this](const AdminRequest::Outcome& outcome) { on_reload_answer(outcome); });
  reload_request_->send(socket, "POST", "/v1/reload", "");
}

void Upgrade::on_reload_answer(const AdminRequest::Outcome& outcome) {
  reload_request_.reset();
  const std::string& socket = parts_.registry.config()->admin.socket;
  using Failure = AdminRequest::Failure;
  if (outcome && outcome->status == 200)
    daemon_log().info("reload: passed on to whoever serves at {}", socket);
  else if (outcome)
    daemon_log().warn("reload: whoever serves at {} has not done it: {}", socket,
                      weir::quoted(outcome->body));
  else if (outcome.error() == Failure::Late)
    daemon_log().info("reload: passed on to whoever serves at {}, which has yet to answer", socket);
  else if (outcome.error() == Failure::Gone)
    daemon_log().warn("reload: nobody serves at {}", socket);
  else
    daemon_log().warn("reload: not passed on: whoever listens at {} does not answer like a Weir", socket);
  if (std::exchange(reload_wanted_, false)) ask_newest_to_reload();
}

void Upgrade::abandon() {
  if (phase_ != Phase::Starting) return;
  if (child_ != nullptr) child_->kill(SIGTERM);
  fail_with("it was told to end");
}

std::optional<CommandError> Upgrade::refusal(const HttpRequest& request) const {
  const auto& path = request.path;
  const bool harmless = request.method == "GET" ||
                        (path.size() == 3 && path[1] == "sessions" && path[2] == "kill") ||
                        (path.size() == 3 && path[1] == "logs") ||
                        (path.size() == 2 && (path[1] == "counts" || path[1] == "stop"));
  const bool from_newest = request.method == "POST" && path.size() == 2 && path[1] == "active";
  if (phase_ == Phase::None && from_newest)
    return CommandError{Kind::Refused, "no other process has taken over from this one"};
  if (phase_ == Phase::None || harmless) return std::nullopt;
  if (phase_ == Phase::Superseded && from_newest) return std::nullopt;
  if (phase_ == Phase::Starting || done_ != nullptr) return CommandError{Kind::Busy, kBusy};
  const bool reach = path.size() == 5 && path[1] == "backends" && path[4] != "weight";
  if (reach) return std::nullopt;
  return CommandError{Kind::Refused, reload_refusal()};
}

std::string Upgrade::reload_refusal() const {
  if (phase_ == Phase::None) return "";
  if (phase_ == Phase::Starting) return kBusy;
  return fmt::format("process {} has taken over; this one finishes its sessions", child_->pid());
}

}  // namespace weir
