// Live sessions: which there are, and their end.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "lb/base/log.h"
#include "lb/control/admin_json.h"
#include "lb/control/admin_state.h"
#include "lb/control/door_rules.h"

namespace weir {

namespace {

/// A session list longer than this is cut, and says so.
constexpr std::size_t kMostSessions = 10'000;

}  // namespace

CommandResult<SessionFilter> AdminApi::State::filter(Parameters& parameters) const {
  const auto usage = [](std::string message) {
    return tl::unexpected(CommandError{CommandError::Kind::Usage, std::move(message)});
  };
  SessionFilter out;
  out.pool = parameters.take("pool");
  out.backend = parameters.take("backend");
  if (const auto slash = out.backend ? out.backend->find('/') : std::string::npos;
      slash != std::string::npos) {
    if (out.pool && *out.pool != out.backend->substr(0, slash))
      return usage(fmt::format("backend {} is not of pool {}", quoted(*out.backend), quoted(*out.pool)));
    out.pool = out.backend->substr(0, slash);
    out.backend = out.backend->substr(slash + 1);
    if (out.pool->empty() || out.backend->empty()) return usage("backend is not POOL/BACKEND");
  } else if (out.backend && !out.pool) {
    return usage(fmt::format("backend {} is not POOL/BACKEND, and no pool is given", quoted(*out.backend)));
  }
  if (const auto ids = parameters.take_list("ids")) {
    out.ids.emplace();
    for (const auto& id : *ids) {
      const auto parsed = SessionId::parse(id);
      if (!parsed)
        return usage(fmt::format("{} is not a session's id; weir sessions lists them", quoted(id)));
      out.ids->push_back(*parsed);
    }
    std::sort(out.ids->begin(), out.ids->end());
  }
  if (const auto client = parameters.take("client")) {
    const auto network = Network::parse(*client);
    if (!network) return usage(network.error().message);
    out.client = *network;
  }
  out.denied = parameters.take_flag("denied");
  // From the process that has taken over.
  if (const auto rules = parameters.take("rules")) {
    auto theirs = parse_door_rules(*rules);
    if (!theirs) return usage(theirs.error().message);
    out.doors = std::make_shared<const DoorsByListener>(std::move(*theirs));
  }
  if (out.pool)
    if (const auto known = parts.registry.status(*out.pool, out.backend.value_or("")); !known)
      return tl::unexpected(known.error());
  return out;
}

void AdminApi::State::sessions(Parameters& parameters, const Answer& answer) {
  const auto limit = parameters.take_number("limit", 1, kMostSessions).value_or(kMostSessions);
  const auto by = parameters.take("by");
  if (by && *by != "client") parameters.fault("by", *by, "client");
  const auto sort = parameters.take("sort");
  constexpr std::string_view kOrders[] = {"", "bytes", "age", "idle"};  // as in SessionOrder
  const auto* const order = sort ? std::ranges::find(kOrders, *sort) : kOrders;
  if (order == std::end(kOrders)) parameters.fault("sort", *sort, "bytes, age or idle");
  const auto wanted = filter(parameters);
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (!wanted) return answer_error(answer, wanted.error());
  if (by) {
    return parts.workers.count_by_client(*wanted, [answer, limit](std::vector<ClientSessions> clients) {
      const auto found = clients.size();
      std::ranges::stable_sort(clients, std::greater(), &ClientSessions::sessions);
      clients.resize(std::min<std::size_t>(limit, found));
      answer({200, to_json(clients, found)});
    });
  }
  const auto ranked = static_cast<SessionOrder>(order - kOrders);
  parts.workers.list_sessions(*wanted, ranked, limit,
                              [answer, ranked](std::vector<SessionInfo> list, std::uint64_t found) {
                                if (ranked == SessionOrder::None)
                                  std::ranges::sort(list, std::less(), &SessionInfo::id);
                                answer({200, to_json(list, found)});
                              });
}

void AdminApi::State::kill(Parameters& parameters, const Answer& answer) {
  const auto wanted = filter(parameters);
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (!wanted) return answer_error(answer, wanted.error());
  if (!wanted->ids && !wanted->pool && !wanted->client && !wanted->denied)
    return answer_usage(answer, "say which sessions: ids, pool, backend, client or denied");
  parts.workers.kill_sessions(*wanted, UINT64_MAX, End::Killed, [answer](std::uint64_t killed) {
    answer({200, killed_json(killed)});
  });
}

void AdminApi::State::rebalance(const std::string& name, Parameters& parameters, const Answer& answer) {
  const auto most = parameters.take_number("most", 1, kMostSessions).value_or(1);
  Rebalancing::Terms terms;
  terms.of = parameters.take_number("of", 0, kMaxSessions).value_or(0);
  terms.to_percent = static_cast<std::uint32_t>(
      parameters.take_number("to_percent", 100, 1'000).value_or(Rebalancing::kToPercent));
  if (const auto begun = parameters.take_number("begun", 0, INT64_MAX))
    terms.begun = std::chrono::nanoseconds(*begun);
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  const auto pool = parts.registry.table()->find(name);
  if (pool == nullptr) return answer_error(answer, parts.registry.unknown_pool(name));
  if (auto objection = Rebalancing::objection(*pool))
    return answer_error(answer, {CommandError::Kind::Refused, std::move(*objection)});
  parts.rebalancing.round(*pool, terms, most, [answer](const Rebalancing::Round& round) {
    answer({200, to_json(round)});
  });
}

}  // namespace weir
