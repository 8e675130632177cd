#include "lb/control/legacy.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lb/control/tally_json.h"
#include "lb/control/whole_json.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;
using SystemTime = std::chrono::system_clock::time_point;

std::int64_t count_of(SystemTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

SystemTime time_of(const Json& json) {
  const std::chrono::nanoseconds since_epoch(json.get<std::int64_t>());
  return SystemTime(std::chrono::duration_cast<SystemTime::duration>(since_epoch));
}

/// Longer than a slow start can be it is none of Weir's.
Millis millis_of(const Json& json) {
  constexpr std::int64_t kMost = 1'000LL * 3'600 * 24 * 365;
  return Millis(std::clamp<std::int64_t>(json.get<std::int64_t>(), 0, kMost));
}

Json json_of(const std::vector<Address>& addresses) {
  Json out = Json::array();
  for (const Address& address : addresses) out.push_back(address.to_string());
  return out;
}

Result<std::vector<Address>> addresses_of(const Json& json) {
  std::vector<Address> out;
  for (const auto& text : json) {
    auto endpoint = parse_endpoint(text.get<std::string>());
    if (!endpoint) return tl::unexpected(endpoint.error());
    if (endpoint->address) out.push_back(*endpoint->address);
  }
  return out;
}

Json json_of(const Standing& standing, std::chrono::steady_clock::time_point now) {
  Json out{{"addresses", json_of(standing.addresses)},
           {"resolved", json_of(standing.resolved)},
           {"health", to_string(standing.health)},
           {"against", standing.against},
           {"reason", standing.reason},
           {"since", count_of(standing.since)},
           {"recovering", standing.recovering}};
  if (standing.slow_start)
    out["slow_start"] = {
        {"elapsed_ms", std::chrono::duration_cast<Millis>(now - standing.slow_start->begin).count()},
        {"duration_ms", standing.slow_start->duration.count()}};
  return out;
}

Result<Standing> standing_of(const Json& json, std::chrono::steady_clock::time_point now) {
  auto addresses = addresses_of(json.at("addresses"));
  if (!addresses) return tl::unexpected(addresses.error());
  auto resolved = addresses_of(json.value("resolved", Json::array()));
  if (!resolved) return tl::unexpected(resolved.error());
  Standing out;
  out.addresses = std::move(*addresses);
  out.resolved = std::move(*resolved);
  const auto health = json.at("health").get<std::string>();
  for (const Health one : {Health::Up, Health::Down})
    if (to_string(one) == health) out.health = one;
  out.against = json.at("against").get<std::uint32_t>();
  out.reason = json.at("reason").get<std::string>();
  out.since = time_of(json.at("since"));
  out.recovering = json.at("recovering").get<bool>();
  if (const auto slow = json.find("slow_start"); slow != json.end())
    out.slow_start = SlowStart{now - millis_of(slow->at("elapsed_ms")), millis_of(slow->at("duration_ms"))};
  return out;
}

Json json_of(const AgentState& agent, std::chrono::system_clock::time_point since) {
  return {{"word", static_cast<int>(agent.word)},
          {"down", agent.down},
          {"why", agent.why},
          {"weight_percent", agent.weight_percent},
          {"max_sessions", agent.max_sessions},
          {"trouble", agent.trouble},
          {"since", count_of(since)}};
}

AgentState agent_of(const Json& json) {
  AgentState out;
  const int word = json.at("word").get<int>();
  if (word == 1) out.word = AgentState::Word::Drain;
  if (word == 2) out.word = AgentState::Word::Maint;
  out.down = json.at("down").get<bool>();
  out.why = json.at("why").get<std::string>();
  out.weight_percent = std::min(json.at("weight_percent").get<std::uint32_t>(), 100U);
  out.max_sessions = json.at("max_sessions").get<std::uint32_t>();
  out.trouble = json.at("trouble").get<std::string>();
  return out;
}

Json json_of(const Totals& totals) {
  return Json::array(
      {totals.sessions, totals.connect_failures, totals.bytes_to_backend, totals.bytes_to_client});
}

Totals totals_from(const Json& totals) {
  return {totals.at(0).get<std::uint64_t>(), totals.at(1).get<std::uint64_t>(),
          totals.at(2).get<std::uint64_t>(), totals.at(3).get<std::uint64_t>()};
}

Json json_of(const SessionsByClient& clients) {
  Json out = Json::array();
  for (const auto& [key, sessions] : clients) out.push_back({key.first, key.second, sessions});
  return out;
}

SessionsByClient clients_of(const Json& json) {
  SessionsByClient out;
  for (const auto& one : json)
    out[{one.at(0).get<std::string>(), one.at(1).get<std::string>()}] = one.at(2).get<std::uint32_t>();
  return out;
}

Json json_of(const Legacy::Backend& backend, std::chrono::steady_clock::time_point now) {
  Json out{{"name", backend.file.name},
           {"address", backend.file.endpoint.text},
           {"weight", backend.file.weight},
           {"max_sessions", backend.file.max_sessions},
           {"backup", backend.file.backup},
           {"admin_since", count_of(backend.admin_since)},
           {"standing", json_of(backend.standing, now)},
           {"totals", json_of(backend.totals)},
           {"active", backend.active}};
  if (backend.tally != Tally()) out["tally"] = json_of(backend.tally);
  if (backend.agent != AgentState()) out["agent"] = json_of(backend.agent, backend.agent_since);
  if (backend.added) out["added"] = true;
  if (backend.out) out["out"] = true;
  return out;
}

Result<Legacy::Backend> backend_of(const Json& json, std::chrono::steady_clock::time_point now) {
  Legacy::Backend out;
  auto endpoint = parse_endpoint(json.at("address").get<std::string>());
  if (!endpoint) return tl::unexpected(endpoint.error());
  out.file.name = json.at("name").get<std::string>();
  out.file.endpoint = std::move(*endpoint);
  out.file.weight = json.at("weight").get<std::uint32_t>();
  out.file.max_sessions = json.value("max_sessions", 0U);
  out.file.backup = json.at("backup").get<bool>();
  if (const auto agent = json.find("agent"); agent != json.end()) {
    out.agent = agent_of(*agent);
    out.agent_since = time_of(agent->at("since"));
  }
  out.added = json.value("added", false);
  out.out = json.value("out", false);
  out.admin_since = time_of(json.at("admin_since"));
  auto standing = standing_of(json.at("standing"), now);
  if (!standing) return tl::unexpected(standing.error());
  out.standing = std::move(*standing);
  out.totals = totals_from(json.at("totals"));
  out.tally = tally_from(json.value("tally", Json()));
  out.active = json.value("active", 0U);
  return out;
}

Result<Legacy> legacy_of(const Json& json, std::chrono::steady_clock::time_point now) {
  Legacy out;
  out.file = json.at("file").get<std::string>();
  out.text = json.at("text").get<std::string>();
  for (const auto& item : json.at("pools")) {
    auto& pool = out.pools.emplace_back();
    pool.name = item.at("name").get<std::string>();
    // An older version does not say these.
    if (const auto verdict = verdict_named(item.value("verdict", ""));
        verdict && item.contains("verdict_since")) {
      pool.verdict = *verdict;
      pool.verdict_since = time_of(item.at("verdict_since"));
    }
    for (const auto& one : item.at("backends")) {
      auto backend = backend_of(one, now);
      if (!backend) return tl::unexpected(backend.error());
      pool.backends.push_back(std::move(*backend));
    }
    for (const auto& one : item.value("stand_ins", Json::array())) {
      auto backend = backend_of(one, now);
      if (!backend) return tl::unexpected(backend.error());
      pool.stand_ins.push_back(
          {one.at("pool").get<std::string>(), std::move(*backend), one.at("probed_as_pool").get<bool>()});
    }
  }
  for (const auto& item : json.at("listeners"))
    out.listeners.push_back({item.at("name").get<std::string>(), item.at("pool").get<std::string>(),
                             item.at("total").get<std::uint64_t>(),
                             listener_tally_from(item.value("tally", Json()))});
  for (const auto& item : json.value("gone", Json::array()))
    out.gone.push_back({item.at("pool").get<std::string>(), item.at("name").get<std::string>(),
                        item.at("address").get<std::string>(), totals_from(item.at("totals")),
                        tally_from(item.at("tally"))});
  if (const auto clients = json.find("clients"); clients != json.end()) out.clients = clients_of(*clients);
  return out;
}

}  // namespace

std::string format_legacy(const Legacy& legacy, std::chrono::steady_clock::time_point now) {
  Json pools = Json::array(), listeners = Json::array();
  for (const auto& pool : legacy.pools) {
    Json backends = Json::array();
    for (const auto& backend : pool.backends) backends.push_back(json_of(backend, now));
    Json stand_ins = Json::array();
    for (const auto& one : pool.stand_ins) {
      Json& stand_in = stand_ins.emplace_back(json_of(one.backend, now));
      stand_in["pool"] = one.pool;
      stand_in["probed_as_pool"] = one.probed_as_pool;
    }
    pools.push_back({{"name", pool.name},
                     {"verdict", to_string(pool.verdict)},
                     {"verdict_since", count_of(pool.verdict_since)},
                     {"backends", std::move(backends)},
                     {"stand_ins", std::move(stand_ins)}});
  }
  for (const auto& listener : legacy.listeners)
    listeners.push_back({{"name", listener.name},
                         {"pool", listener.pool},
                         {"total", listener.total},
                         {"tally", json_of(listener.tally)}});
  Json gone = Json::array();
  for (const auto& one : legacy.gone)
    gone.push_back({{"pool", one.pool},
                    {"name", one.name},
                    {"address", one.address},
                    {"totals", json_of(one.totals)},
                    {"tally", json_of(one.tally)}});
  const Json all{{"file", legacy.file},       {"text", legacy.text},
                 {"pools", std::move(pools)}, {"listeners", std::move(listeners)},
                 {"gone", std::move(gone)},   {"clients", json_of(legacy.clients)}};
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Legacy> parse_legacy(std::string_view text, std::chrono::steady_clock::time_point now) {
  const auto json = parse_whole_json(text);
  if (!json.is_object()) return fail("what the old process knows is not a JSON object");
  try {
    return legacy_of(json, now);
  } catch (const Json::exception& error) {
    return fail(fmt::format("what the old process knows: {}", error.what()));
  }
}

}  // namespace weir
