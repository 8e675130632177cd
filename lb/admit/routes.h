#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lb/admit/network_set.h"
#include "lb/base/error.h"

namespace weir {

/// What a session must have to take a route; what is empty asks for nothing.
struct RouteTerms {
  std::vector<std::string> names;      ///< as parse_name_pattern gives them: the session's fits one of them
  std::vector<std::string> protocols;  ///< of ALPN, 1 to 255 bytes each: one of them is offered
  std::vector<Network> clients;        ///< one of them contains the client

  friend bool operator==(const RouteTerms&, const RouteTerms&) = default;
};

/// Reads "www.example.com", "*.example.org" ("*" stands for one or more labels) or "*" (any name): in small
/// letters and without a dot at its end. An address is no name.
Result<std::string> parse_name_pattern(std::string_view text);

/// Which of a listener's routes a session takes: the first, in the file's order, all of whose terms fit.
/// Built once, then only read, by any number of threads. Names are looked up, not tried one by one: many
/// routes cost little.
class Routes {
 public:
  using Place = std::optional<std::size_t>;  ///< of a route in the list; nothing: none fits

  Routes() = default;
  explicit Routes(const std::vector<RouteTerms>& routes);

  /// What is known from the client's address alone.
  struct First {
    bool needs_hello = false;  ///< its first message decides, see find(); `route` says nothing then
    Place route;
  };
  First find_first(const ClientAddress& client) const;

  /// `name`: as sent, in any case, with or without a dot at its end; "", an address, or what cannot be a
  /// host's name (an empty label, over 253 bytes) is none. `alpn_list`: RFC 7301's ProtocolNameList without
  /// its length. Both are empty for a client that does not speak TLS, or not in time.
  Place find(const ClientAddress& client, std::string_view name, std::string_view alpn_list) const;

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Users = std::vector<std::uint32_t>;  ///< the routes that have it, by their places
  using Index = std::unordered_map<std::string, Users, Hash, std::equal_to<>>;
  struct Route {
    bool asks_name;
    bool asks_protocol;
    bool asks_client;
    NetworkSet clients;
  };
  using Marks = std::vector<bool>;

  static void mark(const Index& index, std::string_view key, Marks& marks);
  Marks fit_by_name(std::string_view name) const;
  Marks fit_by_protocol(std::string_view alpn_list) const;

  std::vector<Route> routes_;
  Index names_;    ///< whole ones
  Index parents_;  ///< what stands behind "*."; "" for "*"
  Index protocols_;
};

}  // namespace weir
