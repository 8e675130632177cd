#include "lb/control/counts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

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
  return Json{{"backends", std::move(backends)}, {"listeners", std::move(listeners)}}.dump();
}

Result<Counts> parse_counts(std::string_view text) {
  try {
    const auto json = Json::parse(text);
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
    return out;
  } catch (const Json::exception& error) {
    return fail(fmt::format("what an older process has counted: {}", error.what()));
  }
}

}  // namespace weir
