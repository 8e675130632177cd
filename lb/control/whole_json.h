#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace weir {

/// What one process of Weir tells another, in which every number is whole: text with one that is not, like
/// text that is no JSON, is discarded (is_discarded()). To convert 1e69 to an integer is undefined behaviour.
inline nlohmann::ordered_json parse_whole_json(std::string_view text) {
  using Json = nlohmann::ordered_json;
  bool whole = true;
  auto json = Json::parse(
      text,
      [&whole](int, Json::parse_event_t event, const Json& parsed) {
        whole = whole && (event != Json::parse_event_t::value || !parsed.is_number_float());
        return true;
      },
      false);
  return whole ? json : Json(Json::value_t::discarded);
}

}  // namespace weir
