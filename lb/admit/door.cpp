#include "lb/admit/door.h"

#include <utility>

namespace weir {
namespace {

Rate rate_of(const std::string& text, std::uint32_t burst) {
  const auto rate = parse_rate(text, burst);
  WEIR_CHECK(rate.has_value());
  return *rate;
}

std::vector<RouteTerms> terms_of(const std::vector<RouteTo>& routes) {
  std::vector<RouteTerms> out;
  out.reserve(routes.size());
  for (const RouteTo& route : routes) out.push_back(route.terms);
  return out;
}

}  // namespace

Door::Door(DoorTerms terms)
    : terms_(std::move(terms)),
      announcers_(terms_.proxy_from),
      rules_(terms_.allow, terms_.deny),
      routes_(terms_of(terms_.routes)),
      unlimited_(terms_.unlimited),
      client_limit_{.sessions = terms_.sessions_per_client,
                    .rate = rate_of(terms_.new_sessions_per_client, terms_.burst),
                    .prefix_bits = terms_.client_prefix},
      new_sessions_(rate_of(terms_.new_sessions, terms_.burst)),
      limits_clients_(client_limit_.sessions > 0 || client_limit_.rate.is_limited()) {}

std::shared_ptr<const Door> Door::make(const DoorTerms& terms) {
  const bool asks = !terms.proxy_from.empty() || !terms.allow.empty() || !terms.deny.empty() ||
                    terms.sessions_per_client > 0 || !terms.new_sessions_per_client.empty() ||
                    !terms.new_sessions.empty() || !terms.routes.empty();
  return asks ? std::make_shared<const Door>(terms) : nullptr;
}

}  // namespace weir
