#include "lb/control/shared_limits.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "lb/control/whole_json.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// One of a version that does not tell older ones says neither who wants what nor that somebody may wait.

void read(const Json& json, Share<SessionsByBackend>& out) {
  for (const auto& one : json.at("active")) {
    const std::tuple key(one.at("pool").get<std::string>(), one.at("backend").get<std::string>(),
                         one.at("address").get<std::string>());
    out.sessions[key] = one.at("sessions").get<std::uint32_t>();
    if (const auto claims = one.value("claims", 0U); claims > 0) out.claims[key] = claims;
  }
  out.may_wait = json.value("may_wait", false);
}

void read(const Json& json, Share<SessionsByClient>& out) {
  for (const auto& [listener, clients] : json.at("clients").items())
    for (std::size_t i = 0; i + 1 < clients.size(); i += 2)
      out.sessions[{listener, clients[i].get<std::string>()}] = clients[i + 1].get<std::uint32_t>();
}

template <class Sessions>
std::optional<Share<Sessions>> parse_share(const std::string& text) {
  const auto json = parse_whole_json(text);
  if (!json.is_object()) return std::nullopt;
  try {
    Share<Sessions> out;
    read(json, out);
    return out;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

template <class Sessions>
void add(Sessions& to, const Sessions& sessions) {
  for (const auto& [key, count] : sessions) to[key] += count;
}

std::string told_of(const SessionsByBackend& sessions) {
  return to_json(Share<SessionsByBackend>{.sessions = sessions});
}
std::string told_of(const SessionsByClient& sessions) {
  return to_json(sessions);
}

}  // namespace

SessionsByBackend claims_of(const Table& table) {
  SessionsByBackend out;
  for (const auto& pool : table.pools) {
    if (!pool->limited() || !pool->load()->newcomers_wait()) continue;
    const std::uint32_t waiting = pool->load()->queued();
    for (const Backend& backend : pool->backends())
      if (const std::uint32_t most = backend.load->max_sessions(); most > 0 && backend.eligible())
        out[{backend.load->pool, backend.load->name, backend.load->address}] += std::min(waiting, most);
  }
  return out;
}

std::string to_json(const Share<SessionsByBackend>& share) {
  SessionsByBackend keys = share.claims;
  keys.insert(share.sessions.begin(), share.sessions.end());
  const auto count_in = [](const SessionsByBackend& all, const auto& key) {
    const auto found = all.find(key);
    return found != all.end() ? found->second : 0;
  };
  Json list = Json::array();
  for (const auto& [key, count] : keys)
    list.push_back({{"pool", std::get<0>(key)},
                    {"backend", std::get<1>(key)},
                    {"address", std::get<2>(key)},
                    {"sessions", count_in(share.sessions, key)},
                    {"claims", count_in(share.claims, key)}});
  return text_of({{"active", std::move(list)}, {"may_wait", share.may_wait}});
}

std::optional<Share<SessionsByBackend>> parse_backend_share(const std::string& text) {
  return parse_share<SessionsByBackend>(text);
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
void SharedLimit<Sessions>::begin_unknowing(std::function<void()> counted) {
  unknowing_ = true;
  counted_ = std::move(counted);
  look();
  if (!asking_) std::exchange(counted_, nullptr)();
}

template <class Sessions>
void SharedLimit<Sessions>::end() {
  ended_ = true;
  timer_.stop();
}

template <class Sessions>
void SharedLimit<Sessions>::look() {
  timer_.start(step_);
  const auto begin = loop_.refresh_now();
  count();
  if (!asking_ && is_wanted()) {
    asking_ = true;
    predecessors_.ask_each(parts_.name,
                           [this](const std::vector<PredecessorAnswer>& answers) { on_answers(answers); });
  }
  const auto took = std::chrono::duration_cast<Millis>(loop_.refresh_now() - begin);
  step_ = std::max(kStep, (took + answers_took_) * kShareOfTime);
}

template <class Sessions>
bool SharedLimit<Sessions>::is_wanted() const {
  if (predecessors_.list().empty()) return false;
  return parts_.wanted() ||
         (parts_.own != nullptr && std::ranges::any_of(predecessors_.list(), [&](const Predecessor& one) {
            const auto known = known_.find(one.pid);
            return known == known_.end() || known->second.may_wait;
          }));
}

template <class Sessions>
void SharedLimit<Sessions>::on_answers(const std::vector<PredecessorAnswer>& answers) {
  asking_ = false;
  if (ended_) return;
  const auto begin = loop_.refresh_now();
  for (const PredecessorAnswer& answer : answers) {
    if (answer.pid == 0) continue;
    // One of an older version cannot say.
    auto share = answer.status == 200 ? parse_share<Sessions>(answer.body) : std::nullopt;
    if (share)
      known_[answer.pid] = std::move(*share);
    else if (answer.status != 0)
      known_.try_emplace(answer.pid);
  }
  count();
  if (parts_.own != nullptr) tell_older_ones();
  if (const auto counted = std::exchange(counted_, nullptr)) counted();
  answers_took_ = std::chrono::duration_cast<Millis>(loop_.refresh_now() - begin);
}

template <class Sessions>
void SharedLimit<Sessions>::count() {
  std::erase_if(known_, [&](const auto& item) {
    return std::ranges::none_of(predecessors_.list(),
                                [&](const Predecessor& one) { return one.pid == item.first; });
  });
  // Before the first answer the word of the hand-over counts.
  if (!unknowing_ && known_.size() != predecessors_.list().size()) return;
  Sessions all;
  for (const auto& [pid, share] : known_) {
    add(all, share.sessions);
    add(all, share.claims);
  }
  if (all != said_) parts_.count(said_.emplace(std::move(all)));
}

template <class Sessions>
void SharedLimit<Sessions>::tell_older_ones() const {
  const std::vector<Predecessor>& list = predecessors_.list();
  if (known_.size() != list.size()) return;
  for (auto told = list.begin(); told != list.end(); ++told) {
    if (!known_.at(told->pid).may_wait) continue;
    Sessions elsewhere = parts_.own();
    for (auto other = list.begin(); other != list.end(); ++other) {
      if (other == told) continue;
      add(elsewhere, known_.at(other->pid).sessions);
      if (other < told) add(elsewhere, known_.at(other->pid).claims);
    }
    predecessors_.tell(told->pid, parts_.name, told_of(elsewhere));
  }
}

template class SharedLimit<SessionsByBackend>;
template class SharedLimit<SessionsByClient>;

}  // namespace weir
