#include "lb/control/shared_limits.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

std::optional<SessionsByBackend> parse_sessions(const std::string& text) {
  const auto json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    SessionsByBackend out;
    for (const auto& one : json.at("active"))
      out[{one.at("pool").get<std::string>(), one.at("backend").get<std::string>(),
           one.at("address").get<std::string>()}] = one.at("sessions").get<std::uint32_t>();
    return out;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

std::string to_json(const SessionsByBackend& sessions) {
  Json list = Json::array();
  for (const auto& [key, count] : sessions)
    list.push_back({{"pool", std::get<0>(key)},
                    {"backend", std::get<1>(key)},
                    {"address", std::get<2>(key)},
                    {"sessions", count}});
  return Json{{"active", std::move(list)}}.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

SharedLimits::SharedLimits(Loop& loop, Registry& registry, Predecessors& predecessors)
    : registry_(registry), predecessors_(predecessors), timer_(loop, [this] { look(); }) {}

void SharedLimits::look() {
  timer_.start(kStep);
  std::erase_if(known_, [&](const auto& item) {
    return std::ranges::none_of(predecessors_.list(),
                                [&](const Predecessor& one) { return one.pid == item.first; });
  });
  SessionsByBackend all;
  for (const auto& [pid, sessions] : known_)
    for (const auto& [key, count] : sessions) all[key] += count;
  // Before the first answer the word of the hand-over counts.
  const bool heard = known_.size() == predecessors_.list().size();
  if (heard && all != said_) registry_.set_active_elsewhere(said_.emplace(std::move(all)));
  if (asking_ || predecessors_.list().empty() || !registry_.any_limited()) return;
  asking_ = true;
  predecessors_.ask_each("active", [this](const std::vector<PredecessorAnswer>& answers) {
    asking_ = false;
    for (const PredecessorAnswer& answer : answers) {
      if (answer.pid == 0) continue;
      // One of an older version cannot say.
      auto sessions = answer.status == 200 ? parse_sessions(answer.body) : std::nullopt;
      if (sessions)
        known_[answer.pid] = std::move(*sessions);
      else if (answer.status != 0)
        known_.try_emplace(answer.pid);
    }
  });
}

}  // namespace weir
