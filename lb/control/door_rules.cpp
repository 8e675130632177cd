#include "lb/control/door_rules.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lb/admit/door.h"

namespace weir {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const std::vector<Network>& networks) {
  Json out = Json::array();
  for (const Network& network : networks) out.push_back(network.to_string());
  return out;
}

Result<std::vector<Network>> networks_from(const Json& json) {
  std::vector<Network> out;
  for (const auto& text : json) {
    auto network = Network::parse(text.get<std::string>());
    if (!network) return tl::unexpected(network.error());
    out.push_back(*network);
  }
  return out;
}

Result<std::shared_ptr<const Door>> door_from(const Json& json) {
  auto proxy_from = networks_from(json.at("proxy_from"));
  auto allow = networks_from(json.at("allow"));
  auto deny = networks_from(json.at("deny"));
  for (const auto* const networks : {&proxy_from, &allow, &deny})
    if (!*networks) return tl::unexpected(networks->error());
  DoorTerms terms;
  terms.proxy_from = std::move(*proxy_from);
  terms.allow = std::move(*allow);
  terms.deny = std::move(*deny);
  return Door::make(terms);
}

}  // namespace

std::string format_door_rules(const DoorsByListener& doors) {
  Json out = Json::object();
  for (const auto& [listener, door] : doors) {
    Json& one = out[listener];
    if (door == nullptr) continue;
    const DoorTerms& terms = door->terms();
    one = {{"proxy_from", json_of(terms.proxy_from)},
           {"allow", json_of(terms.allow)},
           {"deny", json_of(terms.deny)}};
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<DoorsByListener> parse_door_rules(std::string_view text) {
  const auto json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return fail("rules are a JSON object");
  try {
    DoorsByListener out;
    for (const auto& [listener, one] : json.items()) {
      if (one.is_null()) {
        out[listener] = nullptr;
        continue;
      }
      auto door = door_from(one);
      if (!door) return tl::unexpected(door.error());
      out[listener] = std::move(*door);
    }
    return out;
  } catch (const Json::exception& error) {
    return fail(fmt::format("rules: {}", error.what()));
  }
}

}  // namespace weir
