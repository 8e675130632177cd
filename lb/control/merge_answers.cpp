#include "lb/control/merge_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

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

/// The element of that name, of an array of objects.
Json* find_named(Json& list, const Json& name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const Json& item) {
    return item.is_object() && item.value("name", Json()) == name;
  });
  return found != list.end() ? &*found : nullptr;
}

/// A backend that this process does not have, as one that has been removed.
Json leaver(Json backend) {
  backend["admin"] = "drained";
  backend["eligible"] = false;
  backend["reason"] = "served by an older process only";
  backend["removed"] = true;
  return backend;
}

void add_pool(Json& pools, const Json& theirs) {
  Json* own = find_named(pools, theirs.value("name", Json()));
  for (const auto& backend : theirs.value("backends", Json::array())) {
    Json* const same =
        own != nullptr ? find_named((*own)["backends"], backend.value("name", Json())) : nullptr;
    if (same != nullptr) {
      add_counts(*same, backend,
                 {"active", "total", "connect_failures", "bytes_to_backend", "bytes_to_client"});
      continue;
    }
    if (count_of(backend, "active") == 0) continue;
    if (own == nullptr) {
      pools.push_back({{"name", theirs.value("name", "")},
                       {"balance", theirs.value("balance", "")},
                       {"backends", Json::array()},
                       {"removed", true}});
      own = &pools.back();
    }
    (*own)["backends"].push_back(leaver(backend));
  }
}

void add_status(Json& own, const Json& theirs) {
  add_counts(own["sessions"], theirs.value("sessions", Json::object()), {"active", "total"});
  for (const auto& listener : theirs.value("listeners", Json::array()))
    if (Json* const same = find_named(own["listeners"], listener.value("name", Json())))
      add_counts(*same, listener, {"active", "total"});
  for (const auto& pool : theirs.value("pools", Json::array())) add_pool(own["pools"], pool);
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
  Json all = body_of(own.status, own.body);
  if (!all.is_object()) {
    // Perhaps a name that only an older process knows, and which still has sessions.
    for (const auto& other : others) {
      Json theirs = body_of(other.status, other.body);
      if (own.status != 404 || !theirs.is_object()) continue;
      Json pools = std::exchange(theirs["pools"], Json::array());
      for (const auto& pool : pools) add_pool(theirs["pools"], pool);
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

HttpResponse merge_sessions(const HttpResponse& own, const std::vector<PredecessorAnswer>& others) {
  Json all = body_of(own.status, own.body);
  if (!all.is_object() && own.status != 404) return own;
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

}  // namespace weir
