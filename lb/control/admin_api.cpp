#include "lb/control/admin_api.h"

#include <fmt/format.h>

#include <algorithm>

#include "lb/base/log.h"
#include "lb/control/admin_json.h"
#include "lb/control/admin_state.h"
#include "lb/control/explain_listener.h"
#include "lb/control/rate_window.h"
#include "lb/control/shared_limits.h"

namespace weir {

namespace {

using Answer = HttpServer::Answer;
using Kind = CommandError::Kind;

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

/// Of a rebalancing that has been logged when it began.
bool is_next_round(const HttpRequest& request) {
  return request.path.size() == 4 && request.path[3] == "rebalance" &&
         request.body.find("\"begun\"") != std::string::npos;
}

/// What is not as it should be and is to be seen first.
void add_problems(const Status& status, ProcessFacts& facts) {
  if (facts.last_reload && !facts.last_reload->text.starts_with("reloaded"))
    facts.problems.push_back("the last " + facts.last_reload->text);
  if (!facts.unsaved.empty())
    facts.problems.push_back("what operators said will not survive a restart: " + facts.unsaved);
  for (const auto& pool : status.pools)
    if (!pool.removed && pool.verdict != PoolVerdict::Ok && pool.verdict != PoolVerdict::Unknown)
      facts.problems.push_back(fmt::format("pool {}: {}, {}", pool.name, to_string(pool.verdict), pool.up));
}

/// The answer to a request that the workers, or the disk, have not answered in time.
HttpResponse late_answer(const HttpRequest& request, const AdminParts& parts) {
  const Millis patience = parts.patience;
  const StateKeeper& state = parts.state;
  const auto unconfirmed = [&](std::string_view what, std::string_view more) {
    return HttpResponse{
        504, error_json("unconfirmed", fmt::format("{} within {}{}", what, format_duration(patience), more))};
  };
  constexpr std::string_view kLook = "; weir status and the log tell more";
  const bool asks = request.method == "GET" || (request.path.size() > 1 && request.path[1] == "sessions");
  if (is_command(request, "POST", "diff")) return unconfirmed("the configuration has not been read", "");
  if (is_command(request, "POST", "reload") && parts.reload.reading())
    return unconfirmed("the configuration file has not been read", "; once it is, the reload goes on");
  if (asks) return unconfirmed("not every worker has answered", kLook);
  if (state.writing())
    return unconfirmed(fmt::format("the change was made, but {} has not taken it", state.path()),
                       ": it may not survive a restart");
  return unconfirmed("the change was made, but not every worker has confirmed it", kLook);
}

}  // namespace

bool is_command(const HttpRequest& request, std::string_view method, std::string_view name) {
  return request.method == method && request.path.size() == 2 && request.path[0] == "v1" &&
         request.path[1] == name;
}

HttpResponse error_response(const CommandError& error) {
  const auto [status, code] = words_of(error.kind);
  if (!error.faults.empty()) return {422, error_json("bad_config", error.message, error.faults)};
  return {status, error_json(code, error.message)};
}

void answer_error(const Answer& answer, const CommandError& error) {
  answer(error_response(error));
}

void answer_usage(const Answer& answer, std::string message) {
  answer_error(answer, {Kind::Usage, std::move(message)});
}

AdminApi::AdminApi(AdminParts parts) : state_(std::make_unique<State>(std::move(parts))) {}

AdminApi::~AdminApi() = default;

void AdminApi::handle(HttpRequest request, Answer answer) {
  const bool between_processes =
      is_command(request, "POST", "counts") || is_command(request, "POST", "active");
  if (request.method != "GET" && !between_processes && !is_next_round(request))
    daemon_log().info("admin: {} {} by {}", quoted(request.method), quoted(join(request.path)),
                      request.caller);
  if (state_->parts.refusal != nullptr)
    if (const auto refused = state_->parts.refusal(request)) return answer_error(answer, *refused);
  const auto local = [state = state_.get()](HttpRequest own, const Answer& to) {
    // An upgrade has a patience of its own.
    if (is_command(own, "POST", "upgrade")) return state->handle(own, to);
    // Without the body, which may be large.
    HttpRequest head;
    head.method = own.method;
    head.path = own.path;
    state->handle(own,
                  state->patience.limited(to, [state, head] { return late_answer(head, state->parts); }));
  };
  if (state_->parts.predecessors == nullptr) return local(std::move(request), answer);
  state_->parts.predecessors->handle(std::move(request), std::move(answer), local);
}

void AdminApi::State::handle(HttpRequest& request, const Answer& answer) {
  if (!request.repeated.empty())
    return answer_usage(answer, fmt::format("{} is given more than once", quoted(request.repeated)));
  if (is_command(request, "POST", "diff")) return difference(request, answer);
  if (is_command(request, "POST", "counts")) return take_counts(request, answer);
  if (is_command(request, "POST", "active")) return take_active_elsewhere(request, answer);
  auto values = parameters_of(request);
  if (!values) return answer_usage(answer, "the body is not a JSON object of plain values");
  Parameters parameters(std::move(*values));
  const auto& path = request.path;
  const auto is = [&](std::string_view method, std::string_view resource, std::size_t segments) {
    return request.method == method && path.size() == segments && path[1] == resource;
  };
  if (path.size() >= 2 && path[0] == "v1") {
    if (request.method == "GET" && path[1] == "status" && path.size() <= 4) return status(request, answer);
    if (is("GET", "ready", 2)) return ready(parameters, answer);
    if (is("GET", "version", 2)) return answer({200, version_json(parts.facts(), false)});
    if (is("GET", "counts", 2)) return answer({200, format_counts(parts.registry.counts())});
    if (is("GET", "active", 2))
      return answer(
          {200, to_json(Share<SessionsByBackend>{parts.registry.active(), claims_of(*parts.registry.table()),
                                                 parts.may_wait != nullptr && parts.may_wait()})});
    if (is("GET", "clients", 2))
      return parts.workers.count_limited([answer](const SessionsByClient& sessions) {
        answer({200, to_json(sessions)});
      });
    if (is("GET", "sessions", 2)) return sessions(parameters, answer);
    if (is("POST", "sessions", 3) && path[2] == "kill") return kill(parameters, answer);
    if (is("GET", "explain", 2)) return explain(parameters, answer);
    if (is("GET", "events", 2)) return events(request, parameters, answer);
    if (is("GET", "history", 2)) return history(parameters, answer);
    if (is("GET", "live", 2)) return answer(stream_of(live.reader()));
    if (is("POST", "reload", 2)) return reload(request, answer);
    if (is("POST", "stop", 2) && parts.stop != nullptr) return stop(parameters, answer);
    if (is("POST", "upgrade", 2)) return upgrade(request, parameters, answer);
    if (is("POST", "logs", 3) && path[2] == "reopen" && parts.reopen_logs != nullptr) {
      return parts.reopen_logs([answer] { answer({200, "{\"reopened\":true}\n"}); });
    }
    if (is("GET", "drains", 4)) return await_drain(path[2] + "/" + path[3], parameters, answer);
    if (is("POST", "pools", 4) && path[3] == "backends") return add(request, path[2], parameters, answer);
    if (is("POST", "pools", 4) && path[3] == "rebalance") return rebalance(path[2], parameters, answer);
    if (is("POST", "backends", 5) || is("DELETE", "backends", 4))
      return backend_command(request, parameters, answer);
  }
  answer({404, error_json("no_such_request", fmt::format("{} {} is no request of this API",
                                                         quoted(request.method), quoted(join(path))))});
}

void AdminApi::State::status(const HttpRequest& request, const Answer& answer) {
  const auto& path = request.path;
  const StatusQuestion question{.pool = path.size() > 2 ? path[2] : "",
                                .backend = path.size() > 3 ? path[3] : "",
                                .busy = request.query.contains("busy")};
  // Whoever comes while the workers look is told what they have found last: nobody waits for another one.
  const auto now = std::chrono::steady_clock::now();
  if (idle_look.under_way) {
    const bool late = now - idle_look.begun > kGlance;
    return answer(status_answer(question, late ? LongestIdle() : idle_look.found));
  }
  idle_look.under_way = true;
  idle_look.begun = now;
  const auto in_time = glance.limited(answer, [this, question] { return status_answer(question, {}); });
  parts.workers.longest_idle([this, question, in_time](LongestIdle found) {
    idle_look.under_way = false;
    idle_look.found = std::move(found);
    in_time(status_answer(question, idle_look.found));
  });
}

HttpResponse AdminApi::State::status_answer(const StatusQuestion& question, const LongestIdle& idle) {
  auto found = parts.registry.status(question.pool, question.backend);
  if (!found) return error_response(found.error());
  if (question.busy)
    for (auto& pool : found->pools)
      std::erase_if(pool.backends, [](const BackendStatus& backend) {
        return (backend.active | backend.total | backend.connect_failures | backend.bytes_to_backend |
                backend.bytes_to_client) == 0;
      });
  const auto now = std::chrono::steady_clock::now();
  for (auto& pool : found->pools)
    for (auto& backend : pool.backends) {
      if (const auto begin = closer.planned(backend.id))
        backend.closes_in = std::chrono::duration_cast<Millis>(*begin - now);
      if (const auto longest = idle.find(backend.id); longest != idle.end())
        backend.longest_idle = longest->second;
    }
  const std::chrono::duration<double> uptime = now - started;
  ProcessFacts facts = parts.facts();
  add_problems(*found, facts);
  return {200, to_json(*found, facts, uptime.count())};
}

void AdminApi::State::ready(Parameters& parameters, const Answer& answer) {
  const auto listeners = parameters.take_list("listener").value_or(std::vector<std::string>());
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  const auto reasons = unready(listeners);
  if (!reasons) return answer_error(answer, reasons.error());
  answer({200, readiness_json(*reasons)});
}

CommandResult<std::vector<std::string>> AdminApi::State::unready(
    const std::vector<std::string>& listeners) const {
  auto reasons = parts.registry.unready(listeners);
  if (reasons && parts.facts().stopping) reasons->insert(reasons->begin(), "it is stopping");
  return reasons;
}

CommandResult<std::vector<std::string>> AdminApi::unready(const std::vector<std::string>& listeners) const {
  return state_->unready(listeners);
}

void AdminApi::State::explain(Parameters& parameters, const Answer& answer) {
  const auto pool = parameters.take("pool");
  const auto listener = parameters.take("listener");
  const auto client = parameters.take("client");
  Caller caller{client.value_or(""), parameters.take("peer").value_or(""),
                parameters.take("sni").value_or(""),
                parameters.take_list("alpn").value_or(std::vector<std::string>())};
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (pool.has_value() == listener.has_value() || !client)
    return answer_usage(answer, "client is needed, and either pool or listener");
  if (pool && (!caller.server_name.empty() || !caller.alpn.empty() || !caller.peer.empty()))
    return answer_usage(answer, "peer, sni and alpn go with a listener, which asks for them");
  const auto why =
      pool ? parts.registry.explain(*pool, *client)
           : explain_listener(parts.registry, *listener, parts.doorway ? parts.doorway(*listener) : Doorway(),
                              parts.is_shut && parts.is_shut(*listener), caller);
  if (!why) return answer_error(answer, why.error());
  answer({200, to_json(*why)});
}

void AdminApi::State::reload(const HttpRequest& request, const Answer& answer) {
  parts.reload.run(operator_of(request), [this, answer](const ReloadReport& report) {
    if (report.busy) return answer_error(answer, {Kind::Busy, report.error});
    if (!report.done) {
      std::vector<std::string> faults;
      for (const auto& fault : report.faults) faults.push_back(fault.to_string(report.file));
      return answer({faults.empty() ? 409 : 422,
                     error_json(faults.empty() ? "refused" : "bad_config", report.error, faults)});
    }
    save([answer, report = ReloadReport(report)](const std::vector<std::string>& warnings) mutable {
      auto& notes = report.applied.notes;
      notes.insert(notes.end(), warnings.begin(), warnings.end());
      answer({200, to_json(report)});
    });
  });
}

void AdminApi::State::difference(HttpRequest& request, const Answer& answer) {
  const auto named = request.query.find("file");
  const std::string file = named != request.query.end() ? named->second : parts.registry.config()->file;
  parts.reload.rehearse(std::move(request.body), file, difference_json, [answer](Result<std::string> told) {
    if (!told) return answer_error(answer, {Kind::Busy, told.error().message});
    answer({200, std::move(*told)});
  });
}

void AdminApi::State::stop(Parameters& parameters, const Answer& answer) {
  std::optional<Millis> grace;
  if (const auto given = parameters.take_number("grace_ms", 0, kMostMillis))
    grace = Millis(static_cast<std::int64_t>(*given));
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  answer({200, to_json(parts.stop(grace))});
}

void AdminApi::State::take_counts(const HttpRequest& request, const Answer& answer) {
  const auto counts = parse_counts(request.body);
  if (!counts) return answer_usage(answer, counts.error().message);
  // From now on its status is no more to be added to this one's.
  const bool known =
      request.peer && parts.predecessors != nullptr && parts.predecessors->dismiss(request.peer->pid);
  if (!known) return answer_error(answer, {Kind::Refused, "only an older process of this Weir may say that"});
  parts.registry.add(*counts);
  daemon_log().info("the older process {} has ended its sessions", request.peer->pid);
  answer({200, "{}\n"});
}

void AdminApi::State::take_active_elsewhere(const HttpRequest& request, const Answer& answer) {
  auto elsewhere = parse_backend_share(request.body);
  if (!elsewhere) return answer_usage(answer, "the body does not say who has how many sessions");
  parts.registry.set_active_elsewhere(std::move(elsewhere->sessions));
  answer({200, "{}\n"});
}

void AdminApi::State::upgrade(const HttpRequest& request, Parameters& parameters, const Answer& answer) {
  UpgradeOrder order;
  order.privileged = request.peer && request.peer->privileged();
  order.by = operator_of(request);
  order.binary = parameters.take("binary").value_or("");
  if (const auto max_age = parameters.take_number("max_age_ms", 0, kMostMillis))
    order.max_age = Millis(static_cast<std::int64_t>(*max_age));
  order.force = parameters.take_flag("force");
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
