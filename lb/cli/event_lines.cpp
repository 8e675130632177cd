#include "lb/cli/event_lines.h"

#include <fmt/format.h>

#include <utility>

#include "lb/cli/exchange.h"
#include "lb/cli/read_json.h"

namespace weir {

bool EventLines::take(std::string_view piece) {
  heard_ = true;
  rest_ += piece;
  std::size_t begin = 0;
  for (auto end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', begin)) {
    const std::string_view line = std::string_view(rest_).substr(begin, end - begin);
    begin = end + 1;
    const auto field = [&](std::string_view name, std::string& to) {
      if (line.starts_with(name)) to = line.substr(name.size());
    };
    field("data: ", data_);
    field("event: ", type_);
    field("id: ", id_);
    if (line.empty() && !end_message()) return false;
  }
  rest_.erase(0, begin);
  return true;
}

bool EventLines::end_message() {
  const std::string type = std::exchange(type_, ""), data = std::exchange(data_, "");
  if (const std::string id = std::exchange(id_, ""); !id.empty()) last_id_ = id;
  if (type == "missed") {
    complain(fmt::format("{} events have gone by unread", number(parse_object(data), "missed")));
    return true;
  }
  return data.empty() || line_(data);
}

}  // namespace weir
