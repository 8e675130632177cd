#include "lb/control/admin_api.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lb/base/log.h"
#include "lb/control/admin_json.h"
#include "lb/control/drain_closer.h"
#include "lb/control/parameters.h"
#include "lb/net/socket.h"
#include "lb/net/timer.h"

namespace weir {

namespace {

using Answer = HttpServer::Answer;
using Kind = CommandError::Kind;

/// A session list longer than this is cut, and says so.
constexpr std::size_t kMostSessions = 10'000;
constexpr std::uint64_t kMostMillis = static_cast<std::uint64_t>(kMaxDuration.count());

struct KindWords {
  int status;
  std::string_view code;
};
KindWords words_of(Kind kind) {
  switch (kind) {
    case Kind::Usage:
      return {400, "usage"};
    case Kind::Unknown:
      return {404, "unknown"};
    case Kind::Refused:
      return {409, "refused"};
    case Kind::Failed:
      return {500, "failed"};
    case Kind::Busy:
      return {503, "busy"};
  }
  return {500, "failed"};
}

void answer_error(const Answer& answer, const CommandError& error) {
  const auto [status, code] = words_of(error.kind);
  answer({status, error_json(code, error.message)});
}

void answer_usage(const Answer& answer, std::string message) {
  answer_error(answer, {Kind::Usage, std::move(message)});
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    if (end > 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string join(const std::vector<std::string>& path) {
  std::string out;
  for (const auto& segment : path) out += "/" + segment;
  return out;
}

}  // namespace

struct AdminApi::State {
  explicit State(AdminParts given)
      : parts(std::move(given)),
        closer([this](const BackendLoad& backend, std::uint64_t count) { close_some(backend, count); }),
        closer_timer(parts.loop, [this] { run_closer(); }) {}

  void handle(HttpRequest& request, const Answer& answer);
  void status(const HttpRequest& request, const Answer& answer);
  void backend_command(const HttpRequest& request, Parameters& parameters, const Answer& answer);
  void set_admin(const std::string& target, Admin admin, Parameters& parameters, const Answer& answer);
  void drain(const std::string& target, Parameters& parameters, const Answer& answer);
  void set_weight(const std::string& target, Parameters& parameters, const Answer& answer);
  void add(const std::string& pool, Parameters& parameters, const Answer& answer);
  void sessions(Parameters& parameters, const Answer& answer);
  void kill(Parameters& parameters, const Answer& answer);
  void explain(Parameters& parameters, const Answer& answer);
  void reload(const Answer& answer);
  void upgrade(Parameters& parameters, const Answer& answer);
  CommandResult<SessionFilter> filter(Parameters& parameters) const;

  /// Saves the overrides, and answers once every worker works by the change.
  void finish(const CommandResult<Change>& result, const Answer& answer);
  std::vector<std::string> save();
  void close_some(const BackendLoad& backend, std::uint64_t count);
  void run_closer();

  AdminParts parts;
  const std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  DrainCloser closer;
  Timer closer_timer;
  std::string socket_path;
  ino_t inode = 0;
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<HttpServer> given_up;  // finishes its answers
};

AdminApi::AdminApi(AdminParts parts) : state_(std::make_unique<State>(std::move(parts))) {}

AdminApi::~AdminApi() {
  if (state_->server == nullptr) return;
  // Another process may have taken the path over: an upgrade does.
  struct stat info {};
  if (::lstat(state_->socket_path.c_str(), &info) == 0 && info.st_ino == state_->inode)
    ::unlink(state_->socket_path.c_str());
}

Result<Fd> AdminApi::bind(const AdminConfig& config) {
  if (config.socket.empty()) return Fd();
  const auto directory = config.socket.substr(0, config.socket.rfind('/'));
  if (!config.socket_given && ::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno(fmt::format("admin socket: {}", directory), errno);
  auto address = Address::unix_path(config.socket);
  if (!address) return tl::unexpected(address.error());
  auto fd = listen_unix(*address, config.mode);
  if (!fd && fd.error().code == EADDRINUSE)
    return fail(fmt::format(
        "admin socket {}: another Weir is running there; stop it, or name another socket in [admin]",
        config.socket));
  if (!fd) return fail(fmt::format("admin socket {}: {}", config.socket, fd.error().message));
  return fd;
}

Result<void> AdminApi::serve(Fd listening, std::string path) {
  auto server = HttpServer::create(
      state_->parts.loop, std::move(listening),
      [this](HttpRequest request, Answer answer) { handle(std::move(request), std::move(answer)); });
  if (!server) return tl::unexpected(server.error());
  state_->server = std::move(*server);
  state_->socket_path = std::move(path);
  struct stat info {};
  if (::lstat(state_->socket_path.c_str(), &info) == 0) state_->inode = info.st_ino;
  return {};
}

void AdminApi::handle(HttpRequest request, Answer answer) {
  if (request.method != "GET")
    daemon_log().info("admin: {} {} by {}", quoted(request.method), quoted(join(request.path)),
                      request.caller);
  if (state_->parts.refusal != nullptr)
    if (const auto refused = state_->parts.refusal(request)) return answer_error(answer, *refused);
  if (state_->parts.predecessors == nullptr) return state_->handle(request, answer);
  state_->parts.predecessors->handle(
      std::move(request), std::move(answer),
      [state = state_.get()](HttpRequest own, const Answer& to) { state->handle(own, to); });
}

int AdminApi::listening() const {
  return state_->server != nullptr ? state_->server->listening() : -1;
}

Result<void> AdminApi::move_to(Fd listening, std::string path) {
  state_->server->stop_accepting();
  state_->given_up = std::move(state_->server);
  return serve(std::move(listening), std::move(path));
}

bool AdminApi::idle() const {
  const auto is_idle = [](const auto& server) { return server == nullptr || server->idle(); };
  return is_idle(state_->server) && is_idle(state_->given_up);
}

void AdminApi::State::handle(HttpRequest& request, const Answer& answer) {
  auto values = parameters_of(request);
  if (!values) return answer_usage(answer, "the body is not a JSON object of plain values");
  Parameters parameters(std::move(*values));
  const auto& path = request.path;
  const auto is = [&](std::string_view method, std::string_view resource, std::size_t segments) {
    return request.method == method && path.size() == segments && path[1] == resource;
  };
  if (path.size() >= 2 && path[0] == "v1") {
    if (request.method == "GET" && path[1] == "status" && path.size() <= 4) return status(request, answer);
    if (is("GET", "version", 2)) return answer({200, to_json(parts.facts())});
    if (is("GET", "sessions", 2)) return sessions(parameters, answer);
    if (is("POST", "sessions", 3) && path[2] == "kill") return kill(parameters, answer);
    if (is("GET", "explain", 2)) return explain(parameters, answer);
    if (is("POST", "reload", 2)) return reload(answer);
    if (is("POST", "upgrade", 2)) return upgrade(parameters, answer);
    if (is("POST", "pools", 4) && path[3] == "backends") return add(path[2], parameters, answer);
    if (is("POST", "backends", 5) || is("DELETE", "backends", 4))
      return backend_command(request, parameters, answer);
  }
  answer({404, error_json("no_such_request", fmt::format("{} {} is no request of this API",
                                                         quoted(request.method), quoted(join(path))))});
}

void AdminApi::State::status(const HttpRequest& request, const Answer& answer) {
  const auto& path = request.path;
  const auto found = parts.registry.status(path.size() > 2 ? std::string_view(path[2]) : std::string_view(),
                                           path.size() > 3 ? std::string_view(path[3]) : std::string_view());
  if (!found) return answer_error(answer, found.error());
  const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - started;
  answer({200, to_json(*found, parts.facts(), uptime.count())});
}

void AdminApi::State::backend_command(const HttpRequest& request, Parameters& parameters,
                                      const Answer& answer) {
  const auto target = request.path[2] + "/" + request.path[3];
  if (request.method == "DELETE") {
    const bool force = parameters.take_flag("force");
    if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
    return finish(parts.registry.remove(target, force), answer);
  }
  const auto& verb = request.path[4];
  if (verb == "drain") return drain(target, parameters, answer);
  if (verb == "disable") return set_admin(target, Admin::Disabled, parameters, answer);
  if (verb == "enable") return set_admin(target, Admin::Enabled, parameters, answer);
  if (verb == "weight") return set_weight(target, parameters, answer);
  answer_usage(answer, fmt::format("{} is not drain, disable, enable or weight", quoted(verb)));
}

void AdminApi::State::set_admin(const std::string& target, Admin admin, Parameters& parameters,
                                const Answer& answer) {
  const bool force = parameters.take_flag("force");
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  const auto result = parts.registry.set_admin(target, admin, force);
  if (result && admin == Admin::Enabled)
    for (const auto& one : result->backends) closer.cancel(one.load->id);
  finish(result, answer);
}

void AdminApi::State::drain(const std::string& target, Parameters& parameters, const Answer& answer) {
  const auto then = parameters.take("then").value_or("leave");
  const auto timeout = parameters.take_number("timeout_ms", 0, kMostMillis);
  const auto spread = parameters.take_number("spread_ms", 0, kMostMillis);
  const bool force = parameters.take_flag("force");
  if (then != "leave" && then != "close") parameters.fault("then", then, "leave or close");
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (then == "close" && !timeout) return answer_usage(answer, "then = close needs a timeout_ms");
  if (then != "close" && spread) return answer_usage(answer, "spread_ms goes with then = close");
  const auto result = parts.registry.set_admin(target, Admin::Drained, force);
  if (result && then == "close") {
    const Millis patience(*timeout), over(spread.value_or(0));
    for (const auto& one : result->backends) {
      closer.schedule(one.load, std::chrono::steady_clock::now() + patience, over);
      daemon_log().info("{}/{}: what is left in {} will be closed, over {}", one.load->pool, one.load->name,
                        format_duration(patience), format_duration(over));
    }
    run_closer();
  }
  finish(result, answer);
}

void AdminApi::State::set_weight(const std::string& target, Parameters& parameters, const Answer& answer) {
  std::optional<std::uint64_t> weight;
  auto text = parameters.take("weight");
  if (!text) return answer_usage(answer, "weight is missing: 1 to 256, or \"default\"");
  if (*text != "default") {
    Parameters one({{"weight", *text}});
    weight = one.take_number("weight", 1, 256);
    if (const auto fault = one.fault(); !fault.empty()) return answer_usage(answer, fault);
  }
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  finish(parts.registry.set_weight(
             target, weight ? std::optional(static_cast<std::uint32_t>(*weight)) : std::nullopt),
         answer);
}

void AdminApi::State::add(const std::string& pool, Parameters& parameters, const Answer& answer) {
  const auto name = parameters.take("name");
  const auto address = parameters.take("address");
  const auto weight = parameters.take_number("weight", 1, 256).value_or(1);
  const bool backup = parameters.take_flag("backup");
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (!name || !address) return answer_usage(answer, "name and address are needed");
  finish(parts.registry.add(pool, *name, *address, static_cast<std::uint32_t>(weight), backup), answer);
}

CommandResult<SessionFilter> AdminApi::State::filter(Parameters& parameters) const {
  const auto usage = [](std::string message) {
    return tl::unexpected(CommandError{Kind::Usage, std::move(message)});
  };
  SessionFilter out;
  out.pool = parameters.take("pool").value_or("");
  out.backend = parameters.take("backend").value_or("");
  if (const auto slash = out.backend.find('/'); slash != std::string::npos) {
    if (!out.pool.empty() && out.pool != out.backend.substr(0, slash))
      return usage(fmt::format("backend {} is not of pool {}", quoted(out.backend), quoted(out.pool)));
    out.pool = out.backend.substr(0, slash);
    out.backend = out.backend.substr(slash + 1);
  } else if (!out.backend.empty() && out.pool.empty()) {
    return usage(fmt::format("backend {} is not POOL/BACKEND, and no pool is given", quoted(out.backend)));
  }
  const auto ids = parameters.take("ids").value_or("");
  for (const auto id : split(ids, ',')) {
    const auto parsed = SessionId::parse(id);
    if (!parsed) return usage(fmt::format("{} is not a session's id; weir sessions lists them", quoted(id)));
    out.ids.push_back(*parsed);
  }
  std::sort(out.ids.begin(), out.ids.end());
  if (const auto client = parameters.take("client")) {
    const auto network = ClientNetwork::parse(*client);
    if (!network) return usage(network.error().message);
    out.client = *network;
  }
  if (!out.pool.empty())
    if (const auto known = parts.registry.status(out.pool, out.backend); !known)
      return tl::unexpected(known.error());
  return out;
}

void AdminApi::State::sessions(Parameters& parameters, const Answer& answer) {
  const auto limit = parameters.take_number("limit", 1, kMostSessions).value_or(kMostSessions);
  const auto wanted = filter(parameters);
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (!wanted) return answer_error(answer, wanted.error());
  parts.workers.list_sessions(*wanted, limit, [answer](std::vector<SessionInfo> list, std::uint64_t found) {
    std::sort(list.begin(), list.end(), [](auto& a, auto& b) { return a.id < b.id; });
    answer({200, to_json(list, found)});
  });
}

void AdminApi::State::kill(Parameters& parameters, const Answer& answer) {
  const auto wanted = filter(parameters);
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (!wanted) return answer_error(answer, wanted.error());
  if (wanted->ids.empty() && wanted->pool.empty() && !wanted->client)
    return answer_usage(answer, "say which sessions: ids, pool, backend or client");
  parts.workers.kill_sessions(*wanted, UINT64_MAX, [answer](std::uint64_t killed) {
    answer({200, killed_json(killed)});
  });
}

void AdminApi::State::explain(Parameters& parameters, const Answer& answer) {
  const auto pool = parameters.take("pool");
  const auto client = parameters.take("client");
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (!pool || !client) return answer_usage(answer, "pool and client are needed");
  const auto why = parts.registry.explain(*pool, *client);
  if (!why) return answer_error(answer, why.error());
  answer({200, to_json(*why)});
}

void AdminApi::State::reload(const Answer& answer) {
  auto report = parts.reload.run();
  if (!report.done)
    return answer(
        {report.faults.empty() ? 409 : 422,
         error_json(report.faults.empty() ? "refused" : "bad_config", report.error, report.faults)});
  const auto generation = report.generation;
  parts.adoption.when(generation, [answer, text = to_json(report)] { answer({200, text}); });
}

void AdminApi::State::upgrade(Parameters& parameters, const Answer& answer) {
  UpgradeOrder order;
  order.binary = parameters.take("binary").value_or("");
  if (const auto max_age = parameters.take_number("max_age_ms", 0, kMostMillis))
    order.max_age = Millis(static_cast<std::int64_t>(*max_age));
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (parts.upgrade == nullptr) return answer_error(answer, {Kind::Refused, "this Weir cannot upgrade"});
  parts.upgrade(std::move(order), [answer](const CommandResult<UpgradeReport>& report) {
    if (!report) return answer_error(answer, report.error());
    answer({200, to_json(*report)});
  });
}

std::vector<std::string> AdminApi::State::save() {
  const auto saved = parts.state_file.save(parts.registry.overrides());
  if (saved) return {};
  auto warning = fmt::format("this will not survive a restart: {}", saved.error().message);
  daemon_log().warn("{}", warning);
  return {std::move(warning)};
}

void AdminApi::State::finish(const CommandResult<Change>& result, const Answer& answer) {
  if (!result) return answer_error(answer, result.error());
  parts.adoption.when(result->generation, [answer, change = *result, warnings = save()] {
    answer({200, to_json(change, warnings)});
  });
}

void AdminApi::State::close_some(const BackendLoad& backend, std::uint64_t count) {
  SessionFilter all;
  all.backend_ids = {backend.id};
  // A spread comes in many rounds: what an operator has to know was said when it was asked for.
  daemon_log().debug("{}/{}: closing {} of {} sessions, its drain has timed out", backend.pool, backend.name,
                     count, backend.active.load());
  parts.workers.kill_sessions(all, count, [](std::uint64_t) {});
}

void AdminApi::State::run_closer() {
  const auto now = std::chrono::steady_clock::now();
  closer.tick(now);
  if (const auto wait = closer.next_step(now)) closer_timer.start(*wait);
}

}  // namespace weir
