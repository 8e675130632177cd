// What has happened, and what is so: once, and as it comes; and how busy all have been.
#include <fmt/format.h>

#include "lb/base/log.h"
#include "lb/control/admin_state.h"
#include "lb/control/event_json.h"
#include "lb/control/event_stream.h"
#include "lb/control/history_json.h"

namespace weir {

HttpResponse stream_of(std::shared_ptr<HttpStream> stream) {
  return {200, "", "text/event-stream", {}, std::move(stream)};
}

void AdminApi::State::look(std::function<void(std::string)> seen) {
  HttpRequest request;
  request.method = "GET";
  request.path = {"v1", "status"};
  const auto local = [this](const HttpRequest& own, const Answer& to) { status(own, to); };
  const auto answer = [seen = std::move(seen)](HttpResponse response) { seen(std::move(response.body)); };
  if (parts.predecessors == nullptr) return local(request, answer);
  parts.predecessors->handle(std::move(request), answer, local);
}

void AdminApi::State::follow(const HttpRequest& request, Events::Follower::Terms terms,
                             const Answer& answer) {
  if (const std::string_view id = request.header("last-event-id"); !id.empty()) {
    terms.after = parse_event_id(id);
    if (!terms.after)
      return answer_usage(answer, fmt::format("Last-Event-ID {} is no id of an event", quoted(id)));
  }
  answer(stream_of(make_event_stream(parts.events, std::move(terms))));
}

void AdminApi::State::events(const HttpRequest& request, Parameters& parameters, const Answer& answer) {
  const auto pool = parameters.take("pool");
  const auto backend = parameters.take("backend");
  const auto since = parameters.take_number("since_ms", 0, kMostMillis);
  const bool follows = parameters.take_flag("follow");
  const auto limit = parameters.take_number("limit", 1, Events::kMost);
  if (follows && limit) return answer_usage(answer, "limit does not go with follow");
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  Events::Wanted wanted;
  if (pool) wanted.pool = *pool;
  if (backend) wanted.backend = *backend;
  if (since) wanted.since = std::chrono::system_clock::now() - Millis(*since);
  if (limit) wanted.most = *limit;
  const auto found = follows ? std::vector<Event>() : parts.events.find(wanted);
  // Of one that has left there may be events all the same, before that time.
  if (found.empty() && (pool || backend) &&
      parts.events.find({.pool = wanted.pool, .backend = wanted.backend, .most = 1}).empty())
    if (const auto known = parts.registry.status(wanted.pool, wanted.backend); !known)
      return answer_error(answer, known.error());
  if (follows)
    return follow(request,
                  {.pool = pool.value_or(""),
                   .backend = backend.value_or(""),
                   .since = since ? std::optional(wanted.since) : std::nullopt},
                  answer);
  answer({200, to_json(found)});
}

void AdminApi::State::history(Parameters& parameters, const Answer& answer) {
  const auto pool = parameters.take("pool");
  const auto backend = parameters.take("backend");
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (backend && !pool) return answer_usage(answer, "backend goes with pool");
  const History* const kept = parts.history ? parts.history() : nullptr;
  if (kept == nullptr)
    return answer_error(
        answer, {CommandError::Kind::Refused, "no history is kept: that is done where [web] has a bind"});
  if (!pool) return answer({200, history_json(*kept)});
  const HistorySeries* const found = backend ? kept->find(*pool, *backend) : kept->find(*pool);
  if (found != nullptr) return answer({200, history_json(*found, kept->wall())});
  // One that has just come has none yet.
  const auto known = parts.registry.status(*pool, backend.value_or(""));
  if (!known) return answer_error(answer, known.error());
  answer({200, history_json(HistorySeries(), kept->wall())});
}

}  // namespace weir
