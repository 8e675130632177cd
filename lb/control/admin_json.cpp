#include "lb/control/admin_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lb/base/log.h"
#include "lb/config/fault_json.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
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

/// {"p50": 0.4, "p99": 1.9}; null when there has been none.
Json json_of(const TimeCounts& times) {
  const auto p50 = times.quantile(0.5), p99 = times.quantile(0.99);
  return p50 && p99 ? Json{{"p50", millis(*p50)}, {"p99", millis(*p99)}} : Json();
}

Json json_of(const BackendStatus& backend) {
  Json out{{"name", backend.name},
           {"address", backend.address},
           {"weight", backend.weight},
           {"configured_weight", backend.configured_weight},
           {"share_percent", backend.share_percent},
           {"backup", backend.backup},
           {"admin", to_string(backend.admin)},
           {"admin_by", backend.admin_word ? "operator" : "file"},
           {"admin_since", format_time(backend.admin_since)},
           {"configured_admin", to_string(backend.configured_admin)},
           {"health", to_string(backend.health)},
           {"eligible", backend.eligible},
           {"reason", backend.reason},
           {"since", format_time(backend.since)},
           {"active", backend.active},
           {"total", backend.total},
           {"sessions_per_second", hundredths(backend.sessions_per_second)},
           {"bytes_to_backend_per_second", std::round(backend.to_backend_per_second)},
           {"bytes_to_client_per_second", std::round(backend.to_client_per_second)},
           {"connect_ms", json_of(backend.connect_times)},
           {"last_probe_ms", backend.last_probe ? Json(millis(*backend.last_probe)) : Json()},
           {"connect_failures", backend.connect_failures},
           {"bytes_to_backend", backend.bytes_to_backend},
           {"bytes_to_client", backend.bytes_to_client}};
  if (backend.closes_in)
    out["closes_at"] = format_time(std::chrono::system_clock::now() + *backend.closes_in);
  if (!backend.resolved.empty()) out["resolved"] = backend.resolved;
  if (backend.admin_word) out["admin_word"] = json_of(*backend.admin_word);
  if (backend.weight_word) out["weight_word"] = json_of(*backend.weight_word);
  if (backend.added) out["added"] = true;
  if (backend.removed) out["removed"] = true;
  return out;
}

Json json_of(const PoolStatus& pool) {
  Json backends = Json::array();
  TimeCounts connect_times;
  for (const auto& backend : pool.backends) {
    backends.push_back(json_of(backend));
    connect_times += backend.connect_times;
  }
  Json out{{"name", pool.name}, {"balance", pool.balance}, {"connect_ms", json_of(connect_times)}};
  if (pool.removed)
    out["removed"] = true;
  else
    out.update({{"verdict", to_string(pool.verdict)},
                {"verdict_since", format_time(pool.verdict_since)},
                {"up", pool.up}});
  out["backends"] = std::move(backends);
  return out;
}

Json json_of(const ListenerStatus& listener) {
  return {{"name", listener.name},     {"bind", listener.bind},
          {"pool", listener.pool},     {"max_connections", listener.max_connections},
          {"active", listener.active}, {"total", listener.total}};
}

double seconds(Millis time) {
  return static_cast<double>(time.count()) / 1000;
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
  Json listeners = Json::array(), pools = Json::array();
  for (const auto& listener : status.listeners) listeners.push_back(json_of(listener));
  for (const auto& pool : status.pools) pools.push_back(json_of(pool));
  return text_of(
      {{"version", facts.version},
       {"pid", facts.pid},
       {"generation", status.generation},
       {"uptime_seconds", uptime_seconds},
       {"workers", facts.workers},
       {"overrides_saved", facts.unsaved.empty()},
       {"overrides_problem", facts.unsaved},
       {"problems", facts.problems},
       {"last_reload", last_reload(facts.last_reload)},
       {"sessions", {{"active", status.active}, {"total", status.total}, {"max", facts.max_sessions}}},
       {"listeners", std::move(listeners)},
       {"pools", std::move(pools)}});
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
  return text_of({{"pool", explanation.pool},
                  {"client", explanation.client},
                  {"backend", explanation.backend ? Json(*explanation.backend) : Json()},
                  {"because", explanation.because},
                  {"excluded", std::move(excluded)}});
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

std::string to_json(const ProcessFacts& facts) {
  return text_of({{"version", facts.version}, {"pid", facts.pid}, {"features", facts.features}});
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
