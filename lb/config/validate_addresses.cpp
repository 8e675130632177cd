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
  if (address.is_unix())
    return fmt::format("unix:{}", std::filesystem::path(address.path()).lexically_normal().string());
  return ClientAddress(address.data()).to_string();
}

std::string canonical_host(std::string_view host) {
  std::string name(host);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (name.ends_with('.')) name.pop_back();
  return name;
}

std::string canonical(const Endpoint& endpoint) {
  if (endpoint.address) return canonical(*endpoint.address);
  return fmt::format("{}:{}", canonical_host(endpoint.host), endpoint.port);
}

/// Every address of a listener that a connect to this backend can end at, as far as the file alone tells.
std::vector<std::string> binds_reached_by(const Endpoint& endpoint) {
  const auto at = [&](std::string_view host) { return fmt::format("{}:{}", host, endpoint.port); };
  if (!endpoint.address) {
    const std::string host = canonical_host(endpoint.host);
    if (host != "localhost" && !host.ends_with(".localhost")) return {};
    return {at("127.0.0.1"), at("0.0.0.0"), at("[::1]"), at("[::]")};
  }
  std::vector<std::string> reached{canonical(*endpoint.address)};
  if (endpoint.address->is_unix()) return reached;
  const ClientAddress ip(endpoint.address->data());
  const std::string host = ip.ip_to_string();
  if (ip.ip().size() == 4) {
    if (host == "0.0.0.0") reached.push_back(at("127.0.0.1"));  // to the kernel this is connecting to itself
    if (ip.ip().front() == 127) reached.push_back(at("0.0.0.0"));
  } else {
    if (host == "::") reached.push_back(at("[::1]"));
    if (host == "::1") reached.push_back(at("[::]"));
  }
  return reached;
}

struct Bound {
  Place place;
  std::string_view listener;
  std::string address;
};

/// Every address that the file's listeners bind, and the admin socket.
class BoundAddresses {
 public:
  BoundAddresses(Findings& findings, const Draft& draft) : findings_(findings) {
    if (!draft.config->admin.socket.empty()) {
      if (const auto address = Address::unix_path(draft.config->admin.socket))
        admin_socket_ = canonical(*address);
    }
    for (std::size_t i = 0; i < draft.listeners.size(); ++i) {
      const ListenerConfig& listener = draft.config->listeners[i];
      for (std::size_t j = 0; j < listener.bind.size(); ++j)
        add(listener.bind[j], Bound{draft.listeners[i].bind[j], listener.name, canonical(listener.bind[j])});
    }
  }

  const Bound* find(const std::string& address) const {
    const auto found = by_address_.find(address);
    return found == by_address_.end() ? nullptr : &found->second;
  }
  bool is_admin_socket(const std::string& address) const { return address == admin_socket_; }

 private:
  struct OnPort {
    std::optional<Bound> first;
    std::optional<Bound> wildcard;
  };

  void add(const Address& address, Bound bound) {
    if (is_admin_socket(bound.address)) return refuse(bound, "is the admin socket of this file");
    const auto [same, fresh] = by_address_.emplace(bound.address, bound);
    if (!fresh)
      return refuse(bound, fmt::format("is bound already by listener \"{}\" on line {}",
                                       same->second.listener, same->second.place.line));
    if (address.is_unix()) return;
    OnPort& port = by_port_[(std::uint64_t{address.family() == AF_INET6} << 16U) | address.port()];
    const auto& other = address.is_wildcard() ? port.first : port.wildcard;
    if (other)
      return refuse(
          bound,
          fmt::format("overlaps {}, which listener \"{}\" binds on line {}: one of them is every address "
                      "of this port",
                      other->address, other->listener, other->place.line));
    if (!port.first) port.first = bound;
    if (address.is_wildcard()) port.wildcard = std::move(bound);
  }

  void refuse(const Bound& bound, std::string_view why) {
    findings_.fault(bound.place, value_fault("listener.bind", bound.address, why));
  }

  Findings& findings_;
  std::string admin_socket_;
  std::unordered_map<std::string, Bound> by_address_;
  std::unordered_map<std::uint64_t, OnPort> by_port_;
};

void check_backend(Findings& findings, const BoundAddresses& bound, const BackendConfig& backend,
                   Place place) {
  for (const std::string& address : binds_reached_by(backend.endpoint)) {
    if (bound.is_admin_socket(address)) {
      findings.fault(place, value_fault("pool.backend.address", backend.endpoint.text,
                                        "is the admin socket of this file"));
      return;
    }
    const Bound* listener = bound.find(address);
    if (listener == nullptr) continue;
    findings.fault(
        place, value_fault("pool.backend.address", backend.endpoint.text,
                           fmt::format("is this file's own listener \"{}\" ({}, line {}): sessions would go "
                                       "round in circles",
                                       listener->listener, listener->address, listener->place.line)));
    return;
  }
}

}  // namespace

void validate_addresses(Findings& findings, const Draft& draft) {
  const BoundAddresses bound(findings, draft);
  for (std::size_t i = 0; i < draft.pools.size(); ++i) {
    const PoolConfig& pool = draft.config->pools[i];
    std::unordered_map<std::string, Place> seen;
    for (std::size_t j = 0; j < pool.backends.size(); ++j) {
      const Place place = draft.pools[i].backends[j].address;
      if (!place) continue;
      check_backend(findings, bound, pool.backends[j], place);
      const auto [first, fresh] = seen.emplace(canonical(pool.backends[j].endpoint), place);
      if (!fresh)
        findings.fault(place,
                       value_fault("pool.backend.address", pool.backends[j].endpoint.text,
                                   fmt::format("this address is taken by line {}", first->second.line)));
    }
  }
}

}  // namespace weir
