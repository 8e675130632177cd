#include "lb/control/admin_api.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lb/base/log.h"
#include "lb/control/admin_json.h"
#include "lb/control/admin_state.h"
#include "lb/control/rate_window.h"
#include "lb/net/socket.h"

namespace weir {

namespace {

using Answer = HttpServer::Answer;
using Kind = CommandError::Kind;

/// A configuration's text: some 100,000 backends.
constexpr std::size_t kMostConfigBytes = 16 * 1024 * 1024;

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

std::string join(const std::vector<std::string>& path) {
  std::string out;
  for (const auto& segment : path) out += "/" + segment;
  return out;
}

bool is_command(const HttpRequest& request, std::string_view method, std::string_view name) {
  return request.method == method && request.path.size() == 2 && request.path[0] == "v1" &&
         request.path[1] == name;
}

std::size_t body_limit(const HttpRequest& head) {
  return is_command(head, "POST", "diff") ? kMostConfigBytes : HttpServer::kMostBodyBytes;
}

/// The answer to a request that the workers have not answered in time.
HttpResponse late_answer(const HttpRequest& request, Millis patience) {
  const bool asks = request.method == "GET" || (request.path.size() > 1 && request.path[1] == "sessions");
  return {504, error_json("unconfirmed",
                          fmt::format("{} within {}; weir status and the log tell more",
                                      asks ? "not every worker has answered"
                                           : "the change was made, but not every worker has confirmed it",
                                      format_duration(patience)))};
}

}  // namespace

void answer_error(const Answer& answer, const CommandError& error) {
  const auto [status, code] = words_of(error.kind);
  answer({status, error_json(code, error.message)});
}

void answer_usage(const Answer& answer, std::string message) {
  answer_error(answer, {Kind::Usage, std::move(message)});
}

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
      [this](HttpRequest request, Answer answer) { handle(std::move(request), std::move(answer)); },
      body_limit);
  if (!server) return tl::unexpected(server.error());
  state_->server = std::move(*server);
  state_->socket_path = std::move(path);
  struct stat info {};
  if (::lstat(state_->socket_path.c_str(), &info) == 0) state_->inode = info.st_ino;
  state_->sample_rates();
  return {};
}

void AdminApi::handle(HttpRequest request, Answer answer) {
  if (request.method != "GET")
    daemon_log().info("admin: {} {} by {}", quoted(request.method), quoted(join(request.path)),
                      request.caller);
  if (state_->parts.refusal != nullptr)
    if (const auto refused = state_->parts.refusal(request)) return answer_error(answer, *refused);
  const auto local = [state = state_.get()](HttpRequest own, const Answer& to) {
    // An upgrade has a patience of its own.
    const auto late = late_answer(own, state->parts.patience);
    state->handle(own, is_command(own, "POST", "upgrade") ? to : state->patience.limited(to, late));
  };
  if (state_->parts.predecessors == nullptr) return local(std::move(request), answer);
  state_->parts.predecessors->handle(std::move(request), std::move(answer), local);
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
  if (is_command(request, "POST", "diff")) return difference(request, answer);
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
    if (is("POST", "logs", 3) && path[2] == "reopen" && parts.reopen_logs != nullptr) {
      parts.reopen_logs();
      return answer({200, "{\"reopened\":true}\n"});
    }
    if (is("POST", "pools", 4) && path[3] == "backends") return add(path[2], parameters, answer);
    if (is("POST", "backends", 5) || is("DELETE", "backends", 4))
      return backend_command(request, parameters, answer);
  }
  answer({404, error_json("no_such_request", fmt::format("{} {} is no request of this API",
                                                         quoted(request.method), quoted(join(path))))});
}

void AdminApi::State::status(const HttpRequest& request, const Answer& answer) {
  const auto& path = request.path;
  auto found = parts.registry.status(path.size() > 2 ? std::string_view(path[2]) : std::string_view(),
                                     path.size() > 3 ? std::string_view(path[3]) : std::string_view());
  if (!found) return answer_error(answer, found.error());
  const auto now = std::chrono::steady_clock::now();
  for (auto& pool : found->pools)
    for (auto& backend : pool.backends)
      if (const auto begin = closer.planned(backend.id))
        backend.closes_in = std::chrono::duration_cast<Millis>(*begin - now);
  const std::chrono::duration<double> uptime = now - started;
  answer({200, to_json(*found, parts.facts(), uptime.count())});
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
  const auto report = parts.reload.run();
  if (!report.done) {
    std::vector<std::string> faults;
    for (const auto& fault : report.faults) faults.push_back(fault.to_string(report.file));
    return answer({faults.empty() ? 409 : 422,
                   error_json(faults.empty() ? "refused" : "bad_config", report.error, faults)});
  }
  parts.adoption.when(report.generation, [answer, text = to_json(report)] { answer({200, text}); });
}

void AdminApi::State::difference(const HttpRequest& request, const Answer& answer) {
  const auto named = request.query.find("file");
  const std::string& file = named != request.query.end() ? named->second : parts.registry.config()->file;
  answer({200, difference_json(parts.reload.rehearse(request.body, file))});
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

void AdminApi::State::sample_rates() {
  parts.registry.sample_rates();
  rate_timer.start(RateWindow::kStep);
}

}  // namespace weir
