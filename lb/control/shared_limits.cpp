#include "lb/control/shared_limits.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void read(const Json& json, SessionsByBackend& out) {
  for (const auto& one : json.at("active"))
    out[{one.at("pool").get<std::string>(), one.at("backend").get<std::string>(),
         one.at("address").get<std::string>()}] = one.at("sessions").get<std::uint32_t>();
}

void read(const Json& json, SessionsByClient& out) {
  for (const auto& [listener, clients] : json.at("clients").items())
    for (std::size_t i = 0; i + 1 < clients.size(); i += 2)
      out[{listener, clients[i].get<std::string>()}] = clients[i + 1].get<std::uint32_t>();
}

template <class Sessions>
std::optional<Sessions> parse_sessions(const std::string& text) {
  const auto json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    Sessions out;
    read(json, out);
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
  return text_of({{"active", std::move(list)}});
}

std::string to_json(const SessionsByClient& sessions) {
  // Short, for there may be a million: of each listener a client and its sessions in turn.
  Json listeners = Json::object();
  Json* clients = nullptr;
  const std::string* listener = nullptr;
  for (const auto& [key, count] : sessions) {
    if (listener == nullptr || *listener != key.first) {
      listener = &key.first;
      clients = &(listeners[key.first] = Json::array());
    }
    clients->push_back(key.second);
    clients->push_back(count);
  }
  return text_of({{"clients", std::move(listeners)}});
}

template <class Sessions>
SharedLimit<Sessions>::SharedLimit(Loop& loop, Predecessors& predecessors, Parts parts)
    : loop_(loop), predecessors_(predecessors), parts_(std::move(parts)), timer_(loop, [this] { look(); }) {}

template <class Sessions>
void SharedLimit<Sessions>::look() {
  timer_.start(step_);
  const auto begin = loop_.refresh_now();
  std::erase_if(known_, [&](const auto& item) {
    return std::ranges::none_of(predecessors_.list(),
                                [&](const Predecessor& one) { return one.pid == item.first; });
  });
  // Before the first answer the word of the hand-over counts.
  if (known_.size() == predecessors_.list().size()) {
    Sessions all;
    for (const auto& [pid, sessions] : known_)
      for (const auto& [key, count] : sessions) all[key] += count;
    if (all != said_) parts_.count(said_.emplace(std::move(all)));
  }
  if (!asking_ && !predecessors_.list().empty() && parts_.wanted()) {
    asking_ = true;
    predecessors_.ask_each(parts_.name,
                           [this](const std::vector<PredecessorAnswer>& answers) { on_answers(answers); });
  }
  const auto took = std::chrono::duration_cast<Millis>(loop_.refresh_now() - begin);
  step_ = std::max(kStep, (took + answers_took_) * kShareOfTime);
}

template <class Sessions>
void SharedLimit<Sessions>::on_answers(const std::vector<PredecessorAnswer>& answers) {
  asking_ = false;
  const auto begin = loop_.refresh_now();
  for (const PredecessorAnswer& answer : answers) {
    if (answer.pid == 0) continue;
    // One of an older version cannot say.
    auto sessions = answer.status == 200 ? parse_sessions<Sessions>(answer.body) : std::nullopt;
    if (sessions)
      known_[answer.pid] = std::move(*sessions);
    else if (answer.status != 0)
      known_.try_emplace(answer.pid);
  }
  answers_took_ = std::chrono::duration_cast<Millis>(loop_.refresh_now() - begin);
}

template class SharedLimit<SessionsByBackend>;
template class SharedLimit<SessionsByClient>;

}  // namespace weir
