// weir sessions and weir kill.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "lb/base/counted.h"
#include "lb/cli/exchange.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/progress.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

constexpr Millis kLookEvery{100};
/// Nothing could be ended for so long: what is left is new, or would come back to where it is.
constexpr std::chrono::seconds kStuckAfter{1};
/// Sessions in one request to rebalance: what the daemon takes.
constexpr std::uint64_t kMostAtOnce = 10'000;
/// Of a request to kill: the daemon takes 64 KiB.
constexpr std::size_t kMostIdsAtOnce = 1'000;

AdminClient::Query query_of(const FilterOptions& filter) {
  AdminClient::Query query;
  if (!filter.pool.empty()) query.emplace_back("pool", filter.pool);
  if (!filter.backend.empty()) query.emplace_back("backend", filter.backend);
  if (!filter.client.empty()) query.emplace_back("client", filter.client);
  if (filter.denied) query.emplace_back("denied", "true");
  return query;
}

/// The ids of the sessions that are meant, as there are now; or the exit status.
tl::expected<std::vector<std::string>, int> ids_now(const CommonOptions& common,
                                                    const FilterOptions& filter) {
  if (!filter.ids.empty()) return filter.ids;
  const Exchange list(common, "GET", {"sessions"}, query_of(filter));
  if (list.failed()) return tl::unexpected(list.exit_status());
  const auto answer = Json::parse(list.body(), nullptr, false);
  std::vector<std::string> ids;
  if (!answer.is_object()) return ids;
  for (const auto& session : answer.value("sessions", Json::array())) ids.push_back(session.value("id", ""));
  if (!answer.contains("left_out")) return ids;
  complain(
      fmt::format("over {} sessions are meant, more than can be ended at a rate: narrow it", ids.size()));
  return tl::unexpected(int{kExitFailed});
}

/// Several processes' lists, each in order, as one.
std::string arranged(const std::string& body, const ListOptions& wanted) {
  auto answer = Json::parse(body, nullptr, false);
  const auto found =
      answer.is_object() ? answer.find(wanted.by_client ? "clients" : "sessions") : answer.end();
  if (!answer.is_object() || found == answer.end() || !found->is_array()) return body;
  const auto rank = [&](const Json& session) {
    if (wanted.sort == "bytes")
      return session.value("bytes_to_backend", 0.0) + session.value("bytes_to_client", 0.0);
    return session.value(wanted.sort + "_seconds", 0.0);
  };
  if (!wanted.sort.empty())
    std::stable_sort(found->begin(), found->end(),
                     [&](const Json& a, const Json& b) { return rank(a) > rank(b); });
  if (wanted.limit > 0 && found->size() > wanted.limit) {
    const auto cut = found->size() - wanted.limit;
    found->erase(found->begin() + wanted.limit, found->end());
    answer["left_out"] = answer.value("left_out", std::uint64_t{0}) + cut;
  }
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

int kill_at_rate(const CommonOptions& common, const FilterOptions& filter, std::uint32_t per_second) {
  const auto ids = ids_now(common, filter);
  if (!ids) return ids.error();
  const auto begin = std::chrono::steady_clock::now();
  Progress progress;
  std::uint64_t killed = 0;
  for (std::size_t sent = 0; sent < ids->size();) {
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
    const auto due = std::min(
        {ids->size(), static_cast<std::size_t>(waited.count() * per_second) + 1, sent + kMostIdsAtOnce});
    if (due > sent) {
      Json body = Json::object();
      for (const auto& [name, value] : query_of(filter)) body[name] = value;
      body["ids"] = std::vector<std::string>(ids->begin() + static_cast<std::ptrdiff_t>(sent),
                                             ids->begin() + static_cast<std::ptrdiff_t>(due));
      const Exchange round(common, "POST", {"sessions", "kill"}, {}, dumped(body));
      if (round.failed()) return round.exit_status();
      if (const auto answer = Json::parse(round.body(), nullptr, false); answer.is_object())
        killed += answer.value("killed", 0u);
      sent = due;
      progress.show(fmt::format("{} of {} sessions ended", sent, ids->size()));
    }
    if (sent < ids->size()) std::this_thread::sleep_for(std::min(kLookEvery, Millis(1000 / per_second + 1)));
  }
  progress.show("");
  const auto text = Json{{"killed", killed}}.dump() + "\n";
  print(common.json ? text : render_killed(text));
  return kExitDone;
}

}  // namespace

int run_sessions(const CommonOptions& common, const FilterOptions& filter, const ListOptions& list) {
  if (list.by_client && !list.sort.empty())
    return usage("--by client has an order of its own: most sessions first");
  auto query = query_of(filter);
  if (!list.sort.empty()) query.emplace_back("sort", list.sort);
  if (list.limit > 0) query.emplace_back("limit", std::to_string(list.limit));
  if (list.by_client) query.emplace_back("by", "client");
  Exchange exchange(common, "GET", {"sessions"}, query);
  if (!exchange.failed()) exchange.set_body(arranged(exchange.body(), list));
  return show(common, exchange, [&](const auto& answer) {
    return list.by_client ? render_clients(answer, standard_terminal())
                          : render_sessions(answer, standard_terminal());
  });
}

int run_rebalance(const CommonOptions& common, const std::string& pool, std::chrono::nanoseconds between,
                  std::uint32_t to_percent) {
  const auto begin = std::chrono::steady_clock::now();
  const auto pause = std::clamp<std::chrono::nanoseconds>(between, Millis(10), kLookEvery);
  // After a pause of this process not all that was due meanwhile.
  const auto of_a_second =
      std::min<std::uint64_t>(static_cast<std::uint64_t>(std::chrono::seconds(1) / between) + 1, kMostAtOnce);
  Progress progress;
  std::uint64_t ended = 0, asked = 0;
  Json last = Json::object();
  for (auto last_ended = begin;;) {
    const auto now = std::chrono::steady_clock::now();
    const auto due = static_cast<std::uint64_t>((now - begin) / between) + 1;
    if (due > asked) {
      Json body{{"most", std::min(due - asked, of_a_second)}, {"to_percent", to_percent}};
      for (const char* name : {"of", "begun"})
        if (last.contains(name)) body[name] = last[name];
      const Exchange round(common, "POST", {"pools", pool, "rebalance"}, {}, dumped(body));
      if (round.failed()) return round.exit_status();
      asked = due;
      last = Json::parse(round.body(), nullptr, false);
      if (!last.is_object()) return kExitFailed;
      const auto ended_now = last.value("ended", std::uint64_t{0});
      ended += ended_now;
      if (ended_now > 0) last_ended = now;
      const auto over = last.value("over", std::uint64_t{0});
      if (over == 0 || now - last_ended > kStuckAfter) break;
      progress.show(
          fmt::format("{} ended, {} beyond their backends' shares", counted(ended, "session"), over));
    }
    std::this_thread::sleep_for(pause);
  }
  progress.show("");
  const auto text = Json{{"ended", ended}, {"over", last.value("over", std::uint64_t{0})}}.dump() + "\n";
  print(common.json ? text : render_rebalanced(text));
  return kExitDone;
}

int run_kill(const CommonOptions& common, const FilterOptions& filter, std::uint32_t per_second) {
  Json body = Json::object();
  if (!filter.ids.empty()) body["ids"] = filter.ids;
  for (const auto& [name, value] : query_of(filter)) body[name] = value;
  if (body.empty())
    return usage(
        "say which sessions: IDs (weir sessions lists them), --pool, --backend, --client or --denied");
  if (per_second > 0) return kill_at_rate(common, filter, per_second);
  return show(common, Exchange(common, "POST", {"sessions", "kill"}, {}, dumped(body)), render_killed);
}

}  // namespace weir
