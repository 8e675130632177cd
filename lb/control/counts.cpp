#include "lb/control/counts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lb/control/tally_json.h"
#include "lb/control/whole_json.h"

namespace weir {

using Json = nlohmann::ordered_json;

Totals& Totals::operator+=(const Totals& other) {
  sessions += other.sessions;
  connect_failures += other.connect_failures;
  bytes_to_backend += other.bytes_to_backend;
  bytes_to_client += other.bytes_to_client;
  return *this;
}

Totals& Totals::operator-=(const Totals& other) {
  sessions -= other.sessions;
  connect_failures -= other.connect_failures;
  bytes_to_backend -= other.bytes_to_backend;
  bytes_to_client -= other.bytes_to_client;
  return *this;
}

namespace {

template <class Map>
void add(Map& to, const Map& other) {
  for (const auto& [key, count] : other) to[key] += count;
}

Json json_of(const std::map<std::pair<std::string, std::string>, std::uint64_t>& sessions) {
  Json out = Json::array();
  for (const auto& [key, count] : sessions) out.push_back(Json::array({key.first, key.second, count}));
  return out;
}

std::map<std::pair<std::string, std::string>, std::uint64_t> sessions_from(const Json& json) {
  std::map<std::pair<std::string, std::string>, std::uint64_t> out;
  for (const auto& item : json)
    out[{item.at(0).get<std::string>(), item.at(1).get<std::string>()}] = item.at(2).get<std::uint64_t>();
  return out;
}

}  // namespace

Counts& Counts::operator+=(const Counts& other) {
  add(backends, other.backends);
  add(listeners, other.listeners);
  add(tallies, other.tallies);
  add(listener_tallies, other.listener_tallies);
  add(active, other.active);
  add(listener_active, other.listener_active);
  return *this;
}

std::string format_counts(const Counts& counts) {
  Json backends = Json::array(), listeners = Json::array();
  for (const auto& [key, totals] : counts.backends)
    backends.push_back({{"pool", key.first},
                        {"name", key.second},
                        {"sessions", totals.sessions},
                        {"connect_failures", totals.connect_failures},
                        {"bytes_to_backend", totals.bytes_to_backend},
                        {"bytes_to_client", totals.bytes_to_client}});
  for (const auto& [key, sessions] : counts.listeners)
    listeners.push_back({{"name", key.first}, {"pool", key.second}, {"sessions", sessions}});
  Json tallies = Json::array(), listener_tallies = Json::array();
  for (const auto& [key, tally] : counts.tallies)
    tallies.push_back({{"pool", key.first}, {"name", key.second}, {"tally", json_of(tally)}});
  for (const auto& [key, tally] : counts.listener_tallies)
    listener_tallies.push_back({{"name", key.first}, {"pool", key.second}, {"tally", json_of(tally)}});
  return Json{{"backends", std::move(backends)},  {"listeners", std::move(listeners)},
              {"tallies", std::move(tallies)},    {"listener_tallies", std::move(listener_tallies)},
              {"active", json_of(counts.active)}, {"listener_active", json_of(counts.listener_active)}}
      .dump();
}

Result<Counts> parse_counts(std::string_view text) {
  try {
    const auto json = parse_whole_json(text);
    Counts out;
    for (const auto& item : json.at("backends"))
      out.backends[{item.at("pool").get<std::string>(), item.at("name").get<std::string>()}] = {
          .sessions = item.at("sessions").get<std::uint64_t>(),
          .connect_failures = item.at("connect_failures").get<std::uint64_t>(),
          .bytes_to_backend = item.at("bytes_to_backend").get<std::uint64_t>(),
          .bytes_to_client = item.at("bytes_to_client").get<std::uint64_t>()};
    for (const auto& item : json.at("listeners"))
      out.listeners[{item.at("name").get<std::string>(), item.at("pool").get<std::string>()}] =
          item.at("sessions").get<std::uint64_t>();
    // An older version does not say these.
    for (const auto& item : json.value("tallies", Json::array()))
      out.tallies[{item.at("pool").get<std::string>(), item.at("name").get<std::string>()}] =
          tally_from(item.at("tally"));
    for (const auto& item : json.value("listener_tallies", Json::array()))
      out.listener_tallies[{item.at("name").get<std::string>(), item.at("pool").get<std::string>()}] =
          listener_tally_from(item.at("tally"));
    out.active = sessions_from(json.value("active", Json::array()));
    out.listener_active = sessions_from(json.value("listener_active", Json::array()));
    return out;
  } catch (const Json::exception& error) {
    return fail(fmt::format("what an older process has counted: {}", error.what()));
  }
}

}  // namespace weir
