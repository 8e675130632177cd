#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lb/admit/client_limits.h"
#include "lb/admit/network_set.h"
#include "lb/admit/rate.h"
#include "lb/admit/routes.h"
#include "lb/admit/rules.h"
#include "lb/base/address.h"

namespace weir {

/// One route of a listener: whose terms a session fits is served by that pool.
struct RouteTo {
  RouteTerms terms;
  std::string pool;

  friend bool operator==(const RouteTo&, const RouteTo&) = default;
};

/// What clients of a listener say before their ClientHello.
enum class ClientPreface : std::uint8_t {
  Off,
  Postgres  ///< PostgreSQL's SSLRequest, which the listener answers itself
};

/// What a listener asks of its clients before a backend is picked (spec.md, "Who is calling, and may they").
/// Plain data; each value is valid.
struct DoorTerms {
  std::vector<Network> proxy_from;  ///< they announce the client with a PROXY header; empty: nobody does
  std::vector<Network> allow;       ///< those of allow_file are among them
  std::vector<Network> deny;
  std::string allow_file;  ///< "" = none; what was in it when the configuration was read is what counts
  std::string deny_file;
  std::chrono::milliseconds header_timeout{3'000};
  std::uint32_t sessions_per_client = 0;  ///< at once; 0 = no limit
  std::string new_sessions_per_client;    ///< as parse_rate() reads it
  std::string new_sessions;               ///< of the listener as a whole
  std::uint32_t burst = 0;                ///< of both rates; 0 = one second's worth
  std::vector<Network> unlimited;         ///< whom the two limits for each client do not concern
  std::array<std::uint8_t, 2> client_prefix{32, 64};
  std::vector<RouteTo> routes;
  ClientPreface preface = ClientPreface::Off;  ///< heeded where a route asks for the client's first message

  friend bool operator==(const DoorTerms&, const DoorTerms&) = default;
};

/// The same, made for being asked by every worker for every client. Immutable; a reload makes another one,
/// which concerns new sessions.
class Door {
 public:
  explicit Door(DoorTerms terms);
  /// Null when these terms ask nothing of anybody: then nothing is done before the pick.
  static std::shared_ptr<const Door> make(const DoorTerms& terms);

  const DoorTerms& terms() const { return terms_; }
  bool expects_header() const { return !terms_.proxy_from.empty(); }
  bool may_announce(const ClientAddress& peer) const { return announcers_.contains(peer); }
  const Rules& rules() const { return rules_; }
  const Routes& routes() const { return routes_; }
  bool has_routes() const { return !terms_.routes.empty(); }
  const std::string& pool_of(std::size_t route) const { return terms_.routes[route].pool; }
  /// Of new sessions of all clients together: they wait for a token before they are accepted.
  const Rate& new_sessions() const { return new_sessions_; }

  bool limits(const ClientAddress& client) const {
    return limits_clients_ && !client.ip().empty() && !unlimited_.contains(client);
  }
  bool limits_clients() const { return limits_clients_; }
  const ClientLimit& client_limit() const { return client_limit_; }

 private:
  DoorTerms terms_;
  NetworkSet announcers_;
  Rules rules_;
  Routes routes_;
  NetworkSet unlimited_;
  ClientLimit client_limit_;
  Rate new_sessions_;
  bool limits_clients_;
};

}  // namespace weir
