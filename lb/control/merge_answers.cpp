#include "lb/control/merge_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <vector>

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kOk = 200;

HttpResponse response_of(const Json& json) {
  return {kOk, json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

/// The body of an answer that did what was asked; else null.
Json body_of(int status, const std::string& body) {
  return status == kOk ? Json::parse(body, nullptr, false) : Json();
}

std::uint64_t count_of(const Json& item, const char* key) {
  const auto found = item.find(key);
  return found != item.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

void add_counts(Json& to, const Json& from, std::initializer_list<const char*> keys) {
  for (const char* key : keys) to[key] = count_of(to, key) + count_of(from, key);
}

/// The elements of an array of objects by their names. Valid until the array changes.
class ByName {
 public:
  explicit ByName(Json& list) {
    for (Json& item : list)
      if (item.is_object()) items_.emplace(item.value("name", ""), &item);
  }
  Json* find(const Json& other) const {
    const auto found = items_.find(other.is_object() ? other.value("name", "") : "");
    return found != items_.end() ? found->second : nullptr;
  }

 private:
  std::unordered_map<std::string, Json*> items_;
};

/// A backend that this process does not have, as one that has been removed.
Json leaver(Json backend) {
  backend["admin"] = "drained";
  backend["eligible"] = false;
  backend["reason"] = "served by an older process only";
  backend["removed"] = true;
  return backend;
}

void keep_longer(Json& to, const Json& from, const char* key) {
  const auto theirs = from.find(key);
  if (theirs == from.end() || !theirs->is_number()) return;
  const auto own = to.find(key);
  if (own == to.end() || !own->is_number() || *own < *theirs) to[key] = *theirs;
}

/// `own`: the pool of that name; null: there is none yet.
void add_pool(Json& pools, Json* own, const Json& theirs) {
  std::vector<Json> more;
  Json none = Json::array();
  const ByName known(own != nullptr ? (*own)["backends"] : none);
  for (const auto& backend : theirs.value("backends", Json::array())) {
    if (Json* const same = known.find(backend)) {
      add_counts(*same, backend,
                 {"active", "total", "connect_failures", "bytes_to_backend", "bytes_to_client"});
      keep_longer(*same, backend, "longest_idle_seconds");
      if (backend.contains("closes_at") && !same->contains("closes_at"))
        (*same)["closes_at"] = backend["closes_at"];
    } else if (count_of(backend, "active") > 0) {
      more.push_back(leaver(backend));
    }
  }
  // An older process keeps the queue that it had.
  if (own != nullptr && theirs.contains("queued")) {
    add_counts(*own, theirs, {"queued", "overloaded"});
    if (!own->contains("queue")) (*own)["queue"] = theirs.value("queue", Json(0));
  }
  if (own != nullptr && theirs.contains("hedged")) add_counts(*own, theirs, {"hedged", "hedges_won"});
  if (more.empty()) return;
  if (own == nullptr) {
    pools.push_back({{"name", theirs.value("name", "")},
                     {"balance", theirs.value("balance", "")},
                     {"backends", Json::array()},
                     {"removed", true}});
    own = &pools.back();
  }
  for (Json& backend : more) (*own)["backends"].push_back(std::move(backend));
}

void add_pools(Json& pools, const Json& theirs) {
  // Places, since pools that are new move the others.
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < pools.size(); ++i)
    if (pools[i].is_object()) places.emplace(pools[i].value("name", ""), i);
  for (const auto& pool : theirs) {
    const auto place = places.find(pool.value("name", ""));
    add_pool(pools, place != places.end() ? &pools[place->second] : nullptr, pool);
  }
}

void add_status(Json& own, const Json& theirs) {
  add_counts(own["sessions"], theirs.value("sessions", Json::object()), {"active", "total"});
  const ByName listeners(own["listeners"]);
  for (const auto& listener : theirs.value("listeners", Json::array())) {
    Json* const same = listeners.find(listener);
    if (same == nullptr) continue;
    add_counts(*same, listener, {"active", "total"});
    const Json turned_away = listener.value("turned_away", Json::object());
    for (const auto& [end, count] : turned_away.items())
      add_counts((*same)["turned_away"], turned_away, {end.c_str()});
  }
  add_pools(own["pools"], theirs.value("pools", Json::array()));
}

/// The first answer that did what was asked, this process's first; else null, and this process's error is the
/// answer.
Json first_of(const HttpResponse& own, const std::vector<PredecessorAnswer>& others, std::size_t& rest) {
  rest = 0;
  Json first = body_of(own.status, own.body);
  for (; !first.is_object() && rest < others.size(); ++rest)
    first = body_of(others[rest].status, others[rest].body);
  return first;
}

}  // namespace

HttpResponse merge_status(const HttpResponse& own, const std::vector<PredecessorAnswer>& others) {
  // It may be one of many thousands of backends: as long as it is the only one it is not read.
  if (std::ranges::all_of(others, [](const auto& other) { return other.pid == 0; })) return own;
  Json all = body_of(own.status, own.body);
  if (!all.is_object()) {
    // Perhaps a name that only an older process knows, and which still has sessions.
    for (const auto& other : others) {
      Json theirs = body_of(other.status, other.body);
      if (own.status != 404 || !theirs.is_object()) continue;
      const Json pools = std::exchange(theirs["pools"], Json::array());
      add_pools(theirs["pools"], pools);
      if (!theirs["pools"].empty()) return response_of(theirs);
    }
    return own;
  }
  Json predecessors = Json::array();
  for (const auto& other : others) {
    if (other.pid == 0) continue;
    const Json theirs = body_of(other.status, other.body);
    Json item{{"pid", other.pid}};
    if (theirs.is_object())
      item["active"] = count_of(theirs.value("sessions", Json::object()), "active");
    else if (other.status == 0)
      item["error"] = "no answer within 2 s";
    predecessors.push_back(std::move(item));
    if (theirs.is_object()) add_status(all, theirs);
  }
  all["predecessors"] = std::move(predecessors);
  return response_of(all);
}

HttpResponse merge_clients(const HttpResponse& own, const std::vector<PredecessorAnswer>& others,
                           const std::string& limit) {
  Json all = body_of(own.status, own.body);
  if (!all.is_object() || !all.contains("clients")) return own;
  std::map<std::string, Json> clients;
  const auto add = [&](const Json& answer) {
    for (const Json& client : answer.value("clients", Json::array())) {
      const auto [same, is_new] = clients.try_emplace(client.value("client", ""), client);
      if (!is_new) add_counts(same->second, client, {"sessions", "bytes_to_backend", "bytes_to_client"});
    }
  };
  add(all);
  for (const auto& other : others)
    if (const Json theirs = body_of(other.status, other.body); theirs.is_object()) add(theirs);
  std::vector<Json> list;
  list.reserve(clients.size());
  for (auto& [name, client] : clients) list.push_back(std::move(client));
  std::ranges::stable_sort(
      list, [](const Json& a, const Json& b) { return count_of(a, "sessions") > count_of(b, "sessions"); });
  std::size_t most = list.size();
  static_cast<void>(std::from_chars(limit.data(), limit.data() + limit.size(), most));
  if (list.size() > most) {
    all["left_out"] = count_of(all, "left_out") + list.size() - most;
    list.resize(most);
  }
  all["clients"] = std::move(list);
  return response_of(all);
}

HttpResponse merge_sessions(const HttpResponse& own, const std::vector<PredecessorAnswer>& others) {
  Json all = body_of(own.status, own.body);
  if (!all.is_object() && own.status != 404) return own;
  if (all.is_object() && all.contains("clients")) return merge_clients(own, others, "");
  bool known = all.is_object();
  if (!known) all = {{"sessions", Json::array()}};
  for (const auto& other : others) {
    const Json theirs = body_of(other.status, other.body);
    if (!theirs.is_object()) continue;
    known = true;
    for (Json session : theirs.value("sessions", Json::array())) {
      session["id"] = fmt::format("{}.{}", other.pid, session.value("id", ""));
      all["sessions"].push_back(std::move(session));
    }
    if (const auto left_out = count_of(theirs, "left_out"); left_out > 0)
      all["left_out"] = count_of(all, "left_out") + left_out;
  }
  return known ? response_of(all) : own;
}

HttpResponse merge_killed(const HttpResponse& own, const std::vector<PredecessorAnswer>& others) {
  std::size_t rest = 0;
  Json all = first_of(own, others, rest);
  if (!all.is_object()) return own;
  for (; rest < others.size(); ++rest) {
    const Json theirs = body_of(others[rest].status, others[rest].body);
    if (theirs.is_object()) add_counts(all, theirs, {"killed"});
  }
  return response_of(all);
}

HttpResponse merge_stops(const HttpResponse& own, const std::vector<PredecessorAnswer>& others) {
  Json all = body_of(own.status, own.body);
  if (!all.is_object()) return own;
  for (const auto& other : others)
    if (const Json theirs = body_of(other.status, other.body); theirs.is_object())
      add_counts(all, theirs, {"sessions"});
  return response_of(all);
}

HttpResponse merge_changes(const HttpResponse& own, const std::vector<PredecessorAnswer>& others) {
  // An order that this process refuses is refused; only of names that it does not know may others do it.
  if (own.status != kOk && own.status != 404) return own;
  std::size_t rest = 0;
  Json all = first_of(own, others, rest);
  if (!all.is_object()) return own;
  for (; rest < others.size(); ++rest) {
    const Json theirs = body_of(others[rest].status, others[rest].body);
    if (!theirs.is_object()) continue;
    for (const auto& changed : theirs.value("changed", Json::array())) {
      const auto same = std::find_if(all["changed"].begin(), all["changed"].end(), [&](const Json& item) {
        return item.value("backend", Json()) == changed.value("backend", Json());
      });
      if (same != all["changed"].end())
        add_counts(*same, changed, {"sessions"});
      else if (count_of(changed, "sessions") > 0)
        all["changed"].push_back(changed);
    }
  }
  return response_of(all);
}

HttpResponse naming_unheard(HttpResponse merged, const std::vector<PredecessorAnswer>& others) {
  Json unheard = Json::array();
  for (const auto& other : others)
    if (other.pid != 0 && other.status == 0) unheard.push_back(other.pid);
  if (unheard.empty()) return merged;
  Json all = body_of(merged.status, merged.body);
  if (!all.is_object()) return merged;
  for (const Json& pid : unheard)
    all["warnings"].push_back(
        fmt::format("the older process {} has not answered within 2 s: its sessions are not in this answer",
                    pid.get<int>()));
  all["unheard"] = std::move(unheard);
  return response_of(all);
}

HttpResponse merge_drains(const HttpResponse& own, const std::vector<PredecessorAnswer>& others) {
  HttpResponse merged = merge_changes(own, others);
  Json unheard = Json::array();
  for (const auto& other : others) {
    // One that is gone has no sessions, and one that does not know the name has none there.
    if (other.pid == 0 || other.status == kOk) continue;
    const Json error = Json::parse(other.body, nullptr, false);
    const bool unknown = other.status == 404 && error.is_object() && error.contains("error") &&
                         error["error"].is_object() && error["error"].value("code", "") == "unknown";
    if (!unknown) unheard.push_back(other.pid);
  }
  if (unheard.empty()) return merged;
  Json all = body_of(merged.status, merged.body);
  if (!all.is_object()) all = {{"changed", Json::array()}};
  all["unheard"] = std::move(unheard);
  return response_of(all);
}

}  // namespace weir
