// Live sessions: which there are, and their end.
#include <fmt/format.h>

#include <algorithm>

#include "lb/base/log.h"
#include "lb/control/admin_json.h"
#include "lb/control/admin_state.h"

namespace weir {

namespace {

/// A session list longer than this is cut, and says so.
constexpr std::size_t kMostSessions = 10'000;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    if (end > 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace

CommandResult<SessionFilter> AdminApi::State::filter(Parameters& parameters) const {
  const auto usage = [](std::string message) {
    return tl::unexpected(CommandError{CommandError::Kind::Usage, std::move(message)});
  };
  SessionFilter out;
  out.pool = parameters.take("pool").value_or("");
  out.backend = parameters.take("backend").value_or("");
  if (const auto slash = out.backend.find('/'); slash != std::string::npos) {
    if (!out.pool.empty() && out.pool != out.backend.substr(0, slash))
      return usage(fmt::format("backend {} is not of pool {}", quoted(out.backend), quoted(out.pool)));
    out.pool = out.backend.substr(0, slash);
    out.backend = out.backend.substr(slash + 1);
  } else if (!out.backend.empty() && out.pool.empty()) {
    return usage(fmt::format("backend {} is not POOL/BACKEND, and no pool is given", quoted(out.backend)));
  }
  const auto ids = parameters.take("ids").value_or("");
  for (const auto id : split(ids, ',')) {
    const auto parsed = SessionId::parse(id);
    if (!parsed) return usage(fmt::format("{} is not a session's id; weir sessions lists them", quoted(id)));
    out.ids.push_back(*parsed);
  }
  std::sort(out.ids.begin(), out.ids.end());
  if (const auto client = parameters.take("client")) {
    const auto network = ClientNetwork::parse(*client);
    if (!network) return usage(network.error().message);
    out.client = *network;
  }
  if (!out.pool.empty())
    if (const auto known = parts.registry.status(out.pool, out.backend); !known)
      return tl::unexpected(known.error());
  return out;
}

void AdminApi::State::sessions(Parameters& parameters, const Answer& answer) {
  const auto limit = parameters.take_number("limit", 1, kMostSessions).value_or(kMostSessions);
  const auto wanted = filter(parameters);
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (!wanted) return answer_error(answer, wanted.error());
  parts.workers.list_sessions(*wanted, limit, [answer](std::vector<SessionInfo> list, std::uint64_t found) {
    std::sort(list.begin(), list.end(), [](auto& a, auto& b) { return a.id < b.id; });
    answer({200, to_json(list, found)});
  });
}

void AdminApi::State::kill(Parameters& parameters, const Answer& answer) {
  const auto wanted = filter(parameters);
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (!wanted) return answer_error(answer, wanted.error());
  if (wanted->ids.empty() && wanted->pool.empty() && !wanted->client)
    return answer_usage(answer, "say which sessions: ids, pool, backend or client");
  parts.workers.kill_sessions(*wanted, UINT64_MAX, [answer](std::uint64_t killed) {
    answer({200, killed_json(killed)});
  });
}

}  // namespace weir
