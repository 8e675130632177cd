#include "lb/control/admin_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lb/base/build.h"
#include "lb/base/log.h"
#include "lb/config/fault_json.h"
#include "lb/control/json_text.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

std::string plain(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text_of(const Json& json) {
  return plain(json) + "\n";
}

template <class T>
Json json_of(const Word<T>& word) {
  Json out{{"by", word.by}, {"since", word.since == SystemTime() ? Json() : Json(format_time(word.since))}};
  if (!word.comment.empty()) out["comment"] = word.comment;
  if (word.until) out["until"] = format_time(*word.until);
  return out;
}

double hundredths(double value) {
  return std::round(value * 100) / 100;
}

double millis(std::chrono::microseconds time) {
  return hundredths(static_cast<double>(time.count()) / 1000);
}

double seconds(Millis time) {
  return static_cast<double>(time.count()) / 1000;
}

/// {"p50": 0.4, "p99": 1.9}; null when there has been none.
void add(JsonObject& to, std::string_view name, const TimeSummary& times) {
  if (!times.p50 || !times.p99) return to.add(name, std::optional<double>());
  JsonObject out(to.value(name));
  out.add("p50", millis(*times.p50));
  out.add("p99", millis(*times.p99));
}

void append(std::string& text, const BackendStatus& backend) {
  JsonObject out(text);
  out.add("name", backend.name);
  out.add("address", backend.address);
  out.add("weight", backend.weight);
  out.add("configured_weight", backend.configured_weight);
  out.add("share_percent", backend.share_percent);
  out.add("backup", backend.backup);
  out.add("admin", to_string(backend.admin));
  out.add("admin_by", backend.admin_word ? "operator" : "file");
  out.add("admin_since", format_time(backend.admin_since));
  out.add("configured_admin", to_string(backend.configured_admin));
  out.add("health", to_string(backend.health));
  out.add("eligible", backend.eligible);
  out.add("reason", backend.reason);
  out.add("since", format_time(backend.since));
  out.add("active", backend.active);
  out.add("max_sessions", backend.max_sessions);
  out.add("total", backend.total);
  out.add("sessions_per_second", hundredths(backend.sessions_per_second));
  out.add("bytes_to_backend_per_second", std::round(backend.to_backend_per_second));
  out.add("bytes_to_client_per_second", std::round(backend.to_client_per_second));
  add(out, "connect_ms", backend.connects);
  add(out, "first_byte_ms", backend.first_bytes);
  out.add("last_probe_ms", backend.last_probe ? std::optional(millis(*backend.last_probe)) : std::nullopt);
  out.add("longest_idle_seconds",
          backend.longest_idle ? std::optional(seconds(*backend.longest_idle)) : std::nullopt);
  out.add("connect_failures", backend.connect_failures);
  out.add("bytes_to_backend", backend.bytes_to_backend);
  out.add("bytes_to_client", backend.bytes_to_client);
  if (backend.closes_in)
    out.add("closes_at", format_time(std::chrono::system_clock::now() + *backend.closes_in));
  if (backend.agent) {
    JsonObject agent(out.value("agent"));
    agent.add("says", backend.agent->in_words());
    agent.add("serves", backend.agent->serves());
    agent.add("weight_percent", backend.agent->weight_percent);
    agent.add("max_sessions", backend.agent->max_sessions);
    agent.add("trouble", backend.agent->trouble);
    if (backend.agent_since != std::chrono::system_clock::time_point())
      agent.add("since", format_time(backend.agent_since));
  }
  if (!backend.own_probe.empty()) {
    JsonObject own(out.value("own_probe"));
    for (const auto& [key, value] : backend.own_probe) own.add(key, value);
  }
  if (!backend.resolved.empty()) {
    std::string& list = out.value("resolved");
    append_json_array(list, backend.resolved, [&](const auto& address) { append_json(list, address); });
  }
  if (backend.admin_word) out.value("admin_word") += plain(json_of(*backend.admin_word));
  if (backend.weight_word) out.value("weight_word") += plain(json_of(*backend.weight_word));
  if (backend.added) out.add("added", true);
  if (backend.removed) out.add("removed", true);
}

void append(std::string& text, const PoolStatus& pool) {
  JsonObject out(text);
  out.add("name", pool.name);
  out.add("balance", pool.balance);
  add(out, "connect_ms", pool.connects);
  add(out, "first_byte_ms", pool.first_bytes);
  if (pool.removed) {
    out.add("removed", true);
  } else {
    out.add("verdict", to_string(pool.verdict));
    out.add("verdict_since", format_time(pool.verdict_since));
    out.add("up", pool.up);
    if (pool.limited || pool.overloaded > 0) {
      out.add("queued", pool.queued);
      out.add("queue", pool.queue);
      out.add("overloaded", pool.overloaded);
    }
    if (pool.hedges || pool.hedged > 0) {
      out.add("hedged", pool.hedged);
      out.add("hedges_won", pool.hedges_won);
    }
  }
  append_json_array(out.value("backends"), pool.backends, [&](const auto& one) { append(text, one); });
}

void append(std::string& text, const ListenerStatus& listener) {
  JsonObject out(text);
  out.add("name", listener.name);
  append_json_array(out.value("bind"), listener.bind,
                    [&](const auto& address) { append_json(text, address); });
  out.add("pool", listener.pool);
  out.add("max_connections", listener.max_connections);
  out.add("active", listener.active);
  out.add("total", listener.total);
  JsonObject turned_away(out.value("turned_away"));
  for (const auto& [end, count] : listener.turned_away) turned_away.add(end, count);
}

Json last_reload(const std::optional<Event>& event) {
  if (!event) return {};
  return {{"time", format_time(event->time)},
          {"ok", event->text.starts_with("reloaded")},
          {"text", event->text},
          {"by", event->by}};
}

Json json_of(const SessionInfo& session) {
  return {{"id", session.id.to_string()},
          {"listener", session.listener},
          {"client", session.client.to_string()},
          {"pool", session.pool},
          {"backend", session.backend.empty() ? Json() : Json(session.backend)},
          {"state", session.state},
          {"age_seconds", seconds(session.age)},
          {"idle_seconds", seconds(session.idle)},
          {"bytes_to_backend", session.bytes_to_backend},
          {"bytes_to_client", session.bytes_to_client}};
}

Json json_of(const Change& change) {
  Json changed = Json::array();
  for (const auto& one : change.backends) {
    Json item{{"backend", one.load->pool + "/" + one.load->name},
              {"admin", to_string(one.admin)},
              {"weight", one.weight},
              {"sessions", one.load->active.load(std::memory_order_relaxed)}};
    if (one.removed) item["removed"] = true;
    changed.push_back(std::move(item));
  }
  return {{"changed", std::move(changed)}, {"generation", change.generation}};
}

std::optional<std::string> scalar(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number()) return value.dump();
  return std::nullopt;
}

}  // namespace

std::string to_json(const Status& status, const ProcessFacts& facts, double uptime_seconds) {
  constexpr std::size_t kUsual = 640;  // bytes of a backend
  std::string text;
  std::size_t backends = 1;
  for (const auto& pool : status.pools) backends += pool.backends.size();
  text.reserve(kUsual * backends);
  {
    JsonObject out(text);
    out.add("version", facts.version);
    out.add("pid", facts.pid);
    out.add("generation", status.generation);
    out.add("uptime_seconds", uptime_seconds);
    out.add("workers", facts.workers);
    out.add("overrides_saved", facts.unsaved.empty());
    out.add("overrides_problem", facts.unsaved);
    out.value("problems") += plain(facts.problems);
    out.value("last_reload") += plain(last_reload(facts.last_reload));
    out.value("sessions") +=
        plain({{"active", status.active}, {"total", status.total}, {"max", facts.max_sessions}});
    append_json_array(out.value("listeners"), status.listeners, [&](const auto& one) { append(text, one); });
    append_json_array(out.value("pools"), status.pools, [&](const auto& one) { append(text, one); });
    out.value("predecessors") += "[]";
  }
  text += '\n';
  return text;
}

std::string to_json(const Change& change, const std::vector<std::string>& warnings) {
  Json out = json_of(change);
  if (!warnings.empty()) out["warnings"] = warnings;
  if (!change.notes.empty()) out["notes"] = change.notes;
  return text_of(out);
}

std::string to_json(const Registry::Drains& drains) {
  Json out = json_of(drains.left);
  out["enabled"] = drains.enabled;
  return text_of(out);
}

std::string to_json(const std::vector<SessionInfo>& sessions, std::uint64_t found) {
  Json list = Json::array();
  for (const auto& session : sessions) list.push_back(json_of(session));
  Json out{{"sessions", std::move(list)}};
  if (found > sessions.size()) out["left_out"] = found - sessions.size();
  return text_of(out);
}

std::string to_json(const std::vector<ClientSessions>& clients, std::uint64_t found) {
  Json list = Json::array();
  for (const auto& client : clients)
    list.push_back({{"client", client.client},
                    {"sessions", client.sessions},
                    {"bytes_to_backend", client.bytes_to_backend},
                    {"bytes_to_client", client.bytes_to_client}});
  Json out{{"clients", std::move(list)}};
  if (found > clients.size()) out["left_out"] = found - clients.size();
  return text_of(out);
}

std::string to_json(const Explanation& explanation) {
  Json excluded = Json::array();
  for (const auto& [backend, reason] : explanation.excluded)
    excluded.push_back({{"backend", backend}, {"reason", reason}});
  Json out = Json::object();
  if (!explanation.listener.empty()) {
    out["listener"] = explanation.listener;
    out["decision"] = explanation.decision;
    out["route"] = explanation.route ? Json(*explanation.route) : Json();
  }
  out["pool"] = !explanation.pool.empty() ? Json(explanation.pool) : Json();
  out["client"] = explanation.client;
  out["backend"] = explanation.backend ? Json(*explanation.backend) : Json();
  out["waits_for"] = explanation.waits_for ? Json(to_string(*explanation.waits_for)) : Json();
  out["because"] = explanation.because;
  out["excluded"] = std::move(excluded);
  return text_of(out);
}

std::string to_json(const ReloadReport& report) {
  Json notes = Json::array();
  for (const auto& warning : report.warnings) notes.push_back(warning.to_string(report.file));
  for (const auto& note : report.applied.notes) notes.push_back(note);
  return text_of(
      {{"generation", report.generation}, {"changes", report.applied.changes}, {"notes", std::move(notes)}});
}

std::string difference_json(const ReloadReport& report) {
  Json out{{"accepted", report.done}};
  if (!report.done) out["refusal"] = report.error;
  out["changes"] = report.applied.changes;
  out["notes"] = report.applied.notes;
  out["faults"] = json_of(report.faults, report.file);
  out["warnings"] = json_of(report.warnings, report.file);
  return text_of(out);
}

std::string to_json(const UpgradeReport& report) {
  return text_of({{"binary", report.binary},
                  {"pid", report.pid},
                  {"predecessor", report.predecessor},
                  {"sessions_left", report.sessions},
                  {"changes", report.changes},
                  {"notes", report.notes}});
}

std::string version_json(const ProcessFacts& facts, bool read_only) {
  return text_of({{"version", facts.version},
                  {"pid", facts.pid},
                  {"features", kFeatures},
                  {"read_only", read_only},
                  {"superseded", facts.superseded}});
}

std::string to_json(const StopReport& report) {
  return text_of({{"stopping", true}, {"sessions", report.sessions}, {"grace_ms", report.grace.count()}});
}

std::string readiness_json(const std::vector<std::string>& reasons) {
  return text_of({{"ready", reasons.empty()}, {"reasons", reasons}});
}

std::string killed_json(std::uint64_t killed) {
  return text_of({{"killed", killed}});
}

std::string to_json(const Rebalancing::Round& round) {
  return text_of({{"ended", round.ended},
                  {"over", round.over},
                  {"of", round.terms.of},
                  {"begun", round.terms.begun.value_or(std::chrono::nanoseconds(0)).count()}});
}

std::string error_json(std::string_view code, std::string_view message,
                       const std::vector<std::string>& faults) {
  Json error{{"code", code}, {"message", message}};
  if (!faults.empty()) error["faults"] = faults;
  return text_of({{"error", std::move(error)}});
}

std::optional<std::map<std::string, std::string, std::less<>>> parameters_of(const HttpRequest& request) {
  auto out = request.query;
  if (request.body.empty()) return out;
  const auto body = Json::parse(request.body, nullptr, false);
  if (!body.is_object()) return std::nullopt;
  for (const auto& [name, value] : body.items()) {
    std::optional<std::string> text = scalar(value);
    if (value.is_array()) {
      text = "";
      for (const auto& element : value) {
        const auto one = scalar(element);
        if (!one || one->empty()) return std::nullopt;
        *text += (text->empty() ? "" : ",") + *one;
      }
    }
    if (!text) return std::nullopt;
    out[name] = std::move(*text);
  }
  return out;
}

}  // namespace weir
