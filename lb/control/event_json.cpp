#include "lb/control/event_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lb/base/log.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

std::optional<Event> event_of(const Json& json) {
  const auto time = parse_time(json.at("time").get<std::string>());
  const auto kind = event_kind(json.at("kind").get<std::string>());
  if (!time || !kind) return std::nullopt;
  return Event{.time = *time,
               .kind = *kind,
               .pool = json.at("pool"),
               .backend = json.at("backend"),
               .text = json.at("text"),
               .by = json.at("by"),
               .changes = json.at("changes"),
               .count = json.value("count", std::uint64_t{1})};
}

Json json_of(const Event& event) {
  Json item{{"time", format_time(event.time)},
            {"kind", to_string(event.kind)},
            {"pool", event.pool},
            {"backend", event.backend},
            {"text", event.text},
            {"by", event.by},
            {"changes", event.changes}};
  if (event.count > 1) item["count"] = event.count;
  return item;
}

}  // namespace

std::string to_json(const Event& event) {
  return json_of(event).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_json(const std::vector<Event>& events) {
  Json list = Json::array();
  for (const auto& event : events) list.push_back(json_of(event));
  return Json{{"events", std::move(list)}}.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<Event> parse_events(std::string_view text) {
  std::vector<Event> out;
  const auto root = Json::parse(text, nullptr, false);
  if (!root.is_object()) return out;
  for (const auto& item : root.value("events", Json::array())) try {
      if (auto event = event_of(item)) out.push_back(std::move(*event));
    } catch (const Json::exception&) {
      continue;
    }
  return out;
}

}  // namespace weir
