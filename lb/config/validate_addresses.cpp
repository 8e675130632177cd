#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <unordered_map>

#include "lb/config/draft.h"

namespace weir {
namespace {

/// One spelling for each address: a mapped IPv4 address is that IPv4 address, a path has no // and no /./.
std::string canonical(const Address& address) {
  if (address.is_unix() && !address.has_file()) return address.to_string();
  if (address.is_unix())
    return fmt::format("unix:{}", std::filesystem::path(address.path()).lexically_normal().string());
  // Two zones may have the same link-local address.
  if (const auto host = address.host_to_string(); host.find('%') != std::string::npos)
    return address.to_string();
  return ClientAddress(address.data()).to_string();
}

std::string canonical_host(std::string_view host) {
  std::string name = lower_host(host);
  if (name.ends_with('.')) name.pop_back();
  return name;
}

std::string canonical(const Endpoint& endpoint) {
  if (endpoint.address) return canonical(*endpoint.address);
  return fmt::format("{}:{}", canonical_host(endpoint.host), endpoint.port);
}

struct Bound {
  Place place;
  std::string_view key;  ///< that names the address
  std::string owner;     ///< `listener "web"`, `[web]`
  std::string address;
};

/// Every address that the file's listeners bind, and the admin socket.
class BoundAddresses {
 public:
  BoundAddresses(Findings& findings, const Draft& draft, HostAddresses host)
      : findings_(findings), sockets_(std::move(host)) {
    const AdminConfig& admin = draft.config->admin;
    for (const std::string& path : {admin.socket, admin.read_only_socket}) {
      const auto address = Address::unix_path(path);
      if (path.empty() || !address) continue;
      admin_sockets_.push_back(canonical(*address));
      sockets_.add(*address, kAdminSocket);
    }
    for (std::size_t i = 0; i < draft.listeners.size(); ++i) {
      const ListenerConfig& listener = draft.config->listeners[i];
      for (std::size_t j = 0; j < listener.bind.size(); ++j)
        add(listener.bind[j],
            Bound{draft.listeners[i].bind[j], "listener.bind", fmt::format("listener \"{}\"", listener.name),
                  canonical(listener.bind[j])});
    }
    const auto& web = draft.config->web.bind;
    for (std::size_t i = 0; i < web.size(); ++i)
      add(web[i], Bound{draft.web_bind[i], "web.bind", "[web]", canonical(web[i])});
  }

  /// What a session to this backend would end at: a line for the operator, or "".
  std::string reached_by(const Endpoint& endpoint) const {
    for (const Address& address : known_addresses(endpoint)) {
      const auto tag = sockets_.reached_by(address);
      if (!tag) continue;
      if (*tag == kAdminSocket) return "is an admin socket of this file";
      const Bound& bound = bounds_[*tag];
      return fmt::format("is this file's own {} ({}, line {}): sessions would go round in circles",
                         bound.owner, bound.address, bound.place.line);
    }
    return "";
  }

 private:
  static constexpr std::size_t kAdminSocket = SIZE_MAX;

  struct OnPort {
    std::optional<Bound> first;
    std::optional<Bound> wildcard;
  };

  void add(const Address& address, Bound bound) {
    if (std::ranges::find(admin_sockets_, bound.address) != admin_sockets_.end())
      return refuse(bound, "is an admin socket of this file");
    const auto [same, fresh] = by_address_.emplace(bound.address, bound);
    if (!fresh)
      return refuse(bound, fmt::format("is bound already by {} on line {}", same->second.owner,
                                       same->second.place.line));
    sockets_.add(address, bounds_.size());
    bounds_.push_back(bound);
    if (address.is_unix()) return;
    OnPort& port = by_port_[(std::uint64_t{address.family() == AF_INET6} << 16U) | address.port()];
    const auto& other = address.is_wildcard() ? port.first : port.wildcard;
    if (other)
      return refuse(
          bound,
          fmt::format("overlaps {}, which {} binds on line {}: one of them is every address of this port",
                      other->address, other->owner, other->place.line));
    if (!port.first) port.first = bound;
    if (address.is_wildcard()) port.wildcard = std::move(bound);
  }

  void refuse(const Bound& bound, std::string_view why) {
    findings_.fault(bound.place, value_fault(bound.key, bound.address, why));
  }

  Findings& findings_;
  std::vector<std::string> admin_sockets_;
  OwnSockets sockets_;
  std::vector<Bound> bounds_;  ///< by the tags of sockets_
  std::unordered_map<std::string, Bound> by_address_;
  std::unordered_map<std::uint64_t, OnPort> by_port_;
};

}  // namespace

void validate_addresses(Findings& findings, const Draft& draft, HostAddresses host) {
  const BoundAddresses bound(findings, draft, std::move(host));
  for (std::size_t i = 0; i < draft.pools.size(); ++i) {
    const PoolConfig& pool = draft.config->pools[i];
    std::unordered_map<std::string, Place> seen;
    for (std::size_t j = 0; j < pool.backends.size(); ++j) {
      const Place place = draft.pools[i].backends[j].address;
      if (!place) continue;
      if (const std::string loop = bound.reached_by(pool.backends[j].endpoint); !loop.empty())
        findings.fault(place, value_fault("pool.backend.address", pool.backends[j].endpoint.text, loop));
      const auto [first, fresh] = seen.emplace(canonical(pool.backends[j].endpoint), place);
      // Two names for one server can be meant: one of them may be probed in another way.
      if (!fresh)
        findings.warn(place, value_fault("pool.backend.address", pool.backends[j].endpoint.text,
                                         fmt::format("line {} has this address, too: one server gets the "
                                                     "sessions of both",
                                                     first->second.line)));
    }
  }
}

}  // namespace weir
