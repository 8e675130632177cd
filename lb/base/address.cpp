#include "lb/base/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace weir {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

/// A port of 0 to 65535 in plain decimal.
std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

struct HostAndPort {
  std::string host;
  bool bracketed = false;
  std::uint16_t port = 0;
};

Result<HostAndPort> split_host_port(std::string_view text) {
  HostAndPort parts;
  std::string_view port_text;
  if (!text.empty() && text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return fail(fmt::format("\"{}\" has a [ without its ]", text));
    parts.host = text.substr(1, close - 1);
    parts.bracketed = true;
    if (close + 1 >= text.size() || text[close + 1] != ':')
      return fail(fmt::format("\"{}\" has no port: write [address]:port", text));
    port_text = text.substr(close + 2);
  } else {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos)
      return fail(fmt::format("\"{}\" has no port: write address:port", text));
    parts.host = text.substr(0, colon);
    if (parts.host.find(':') != std::string::npos)
      return fail(fmt::format("\"{}\" looks like IPv6: write it in brackets, [address]:port", text));
    port_text = text.substr(colon + 1);
  }
  const auto port = parse_port(port_text);
  if (!port) return fail(fmt::format("\"{}\" is not a port (1 to 65535)", port_text));
  parts.port = *port;
  if (parts.host.empty()) return fail(fmt::format("\"{}\" has no host before its port", text));
  return parts;
}

/// "fe80::1%eth0", the zone by the name of an interface or its number: what RFC 4007 lets stand for
/// link-local addresses only, which mean nothing without it. Nothing when it has no zone.
Result<std::optional<Address>> zoned(const std::string& host, std::uint16_t port) {
  const auto percent = host.find('%');
  sockaddr_in6 v6{};
  const bool is_v6 = inet_pton(AF_INET6, host.substr(0, percent).c_str(), &v6.sin6_addr) == 1;
  const bool link_local = is_v6 && IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr);
  if (link_local && percent == std::string::npos)
    return fail(fmt::format("\"{}\" is link-local: write its interface too, [{}%eth0]:port", host, host));
  if (percent == std::string::npos) return std::optional<Address>();
  if (!link_local)
    return fail(fmt::format("\"{}\" has a zone (%), which only link-local addresses (fe80::) have", host));
  const std::string zone = host.substr(percent + 1);
  unsigned index = 0;
  const auto [end, status] = std::from_chars(zone.data(), zone.data() + zone.size(), index);
  const bool number = !zone.empty() && status == std::errc{} && end == zone.data() + zone.size() && index > 0;
  if (!number && (index = if_nametoindex(zone.c_str())) == 0)
    return fail(fmt::format("\"{}\": this host has no interface \"{}\"", host, zone));
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_scope_id = index;
  return std::optional(Address(reinterpret_cast<const sockaddr*>(&v6), sizeof v6));
}

std::optional<Address> address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return Address(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return Address(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  }
  return std::nullopt;
}

/// RFC 1123 letters, digits, hyphens and dots, and the underscores that service names use. A last label of
/// digits only is a mistyped IPv4 address, never a name.
bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  const bool characters = std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
  if (!characters || host.front() == '.' || host.front() == '-' || host.find("..") != std::string_view::npos)
    return false;
  if (host.back() == '.') host.remove_suffix(1);
  const auto last = host.substr(host.rfind('.') == std::string_view::npos ? 0 : host.rfind('.') + 1);
  return !std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string ip_text(int family, const void* bytes) {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(family, bytes, text, sizeof text) != nullptr ? text : "?";
}

}  // namespace

std::string lower_host(std::string_view host) {
  std::string out(host);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

Address::Address(const sockaddr* address, socklen_t size)
    : size_(std::min<socklen_t>(size, sizeof storage_)) {
  std::memcpy(&storage_, address, size_);
}

Result<Address> Address::parse_ip_port(std::string_view text) {
  auto parts = split_host_port(text);
  if (!parts) return tl::unexpected(parts.error());
  auto address = zoned(parts->host, parts->port);
  if (!address) return tl::unexpected(address.error());
  if (!*address) address = address_of(parts->host, parts->port);
  if (!*address || parts->bracketed != ((*address)->family() == AF_INET6))
    return fail(fmt::format("\"{}\" is not ip:port or [v6]:port", text));
  return **address;
}

Result<Address> Address::parse_unix(std::string_view text) {
  if (!text.starts_with('@')) return unix_path(text);
  const auto name = text.substr(1);
  if (name.empty()) return fail("\"@\" has no name behind it");
  if (name.size() > kMaxUnixPath)
    return fail(fmt::format("the name \"{}\" has {} bytes; an abstract unix socket's has at most {}", text,
                            name.size(), kMaxUnixPath));
  if (name.find('\0') != std::string_view::npos) return fail("a name of a unix socket holds a NUL byte");
  Address address;
  address.storage_.local.sun_family = AF_UNIX;
  std::memcpy(address.storage_.local.sun_path + 1, name.data(), name.size());
  address.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

Result<Address> Address::unix_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return fail(fmt::format("\"{}\" is not an absolute path", path));
  if (path.size() > kMaxUnixPath)
    return fail(fmt::format("the path \"{}\" has {} bytes; a unix socket's path has at most {}", path,
                            path.size(), kMaxUnixPath));
  if (path.find('\0') != std::string_view::npos) return fail("a path of a unix socket holds a NUL byte");
  Address address;
  address.storage_.local.sun_family = AF_UNIX;
  std::memcpy(address.storage_.local.sun_path, path.data(), path.size());
  address.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

std::uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(storage_.v4.sin_port);
  if (family() == AF_INET6) return ntohs(storage_.v6.sin6_port);
  return 0;
}

void Address::set_port(std::uint16_t port) {
  if (family() == AF_INET) storage_.v4.sin_port = htons(port);
  if (family() == AF_INET6) storage_.v6.sin6_port = htons(port);
}

std::string_view Address::path() const {
  return is_unix() ? std::string_view(storage_.local.sun_path) : std::string_view{};
}

bool Address::is_wildcard() const {
  if (family() == AF_INET) return storage_.v4.sin_addr.s_addr == INADDR_ANY;
  if (family() == AF_INET6) return IN6_IS_ADDR_UNSPECIFIED(&storage_.v6.sin6_addr);
  return false;
}

std::string Address::host_to_string() const {
  if (family() == AF_INET) return ip_text(AF_INET, &storage_.v4.sin_addr);
  if (family() == AF_INET6) {
    auto text = ip_text(AF_INET6, &storage_.v6.sin6_addr);
    char name[IF_NAMESIZE];
    if (const auto zone = storage_.v6.sin6_scope_id; zone != 0)
      text += "%" + (if_indextoname(zone, name) != nullptr ? std::string(name) : std::to_string(zone));
    return text;
  }
  constexpr std::size_t kName = offsetof(sockaddr_un, sun_path) + 1;
  if (is_unix() && !has_file() && size_ > kName)
    return "@" + std::string(storage_.local.sun_path + 1, size_ - kName);
  return std::string(path());
}

std::string Address::to_string() const {
  if (family() == AF_INET) return fmt::format("{}:{}", host_to_string(), port());
  if (family() == AF_INET6) return fmt::format("[{}]:{}", host_to_string(), port());
  if (family() == AF_UNIX) return fmt::format("{}{}", kUnixPrefix, host_to_string());
  return "-";
}

bool operator==(const Address& a, const Address& b) {
  if (a.family() != b.family() || a.port() != b.port()) return false;
  const auto zone = [](const Address& one) {
    return one.family() == AF_INET6 ? one.storage_.v6.sin6_scope_id : 0;
  };
  return zone(a) == zone(b) && a.host_to_string() == b.host_to_string();
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  Endpoint endpoint{.text = std::string(text), .address = std::nullopt, .host = {}, .port = 0};
  if (text.starts_with(kUnixPrefix)) {
    auto address = Address::parse_unix(text.substr(kUnixPrefix.size()));
    if (!address) return tl::unexpected(address.error());
    endpoint.address = *address;
    return endpoint;
  }
  auto parts = split_host_port(text);
  if (!parts) return tl::unexpected(parts.error());
  if (parts->port == 0) return fail(fmt::format("\"{}\" has port 0 (1 to 65535)", text));
  endpoint.port = parts->port;
  auto with_zone = zoned(parts->host, parts->port);
  if (!with_zone) return tl::unexpected(with_zone.error());
  endpoint.address = *with_zone ? *with_zone : address_of(parts->host, parts->port);
  if (endpoint.address) {
    if (parts->bracketed != (endpoint.address->family() == AF_INET6))
      return fail(fmt::format("\"{}\" has an IPv4 address in brackets", text));
    return endpoint;
  }
  if (parts->bracketed) return fail(fmt::format("\"{}\" is not an IPv6 address", parts->host));
  if (!is_host_name(parts->host))
    return fail(fmt::format("\"{}\" is neither an IP address nor a host name", parts->host));
  endpoint.host = parts->host;
  return endpoint;
}

ClientAddress::ClientAddress(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    std::memcpy(bytes_.data(), &v4.sin_addr, 4);
    size_ = 4;
    port_ = ntohs(v4.sin_port);
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    port_ = ntohs(v6.sin6_port);
    const auto* bytes = v6.sin6_addr.s6_addr;
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
    size_ = mapped ? 4 : 16;
    std::memcpy(bytes_.data(), bytes + (mapped ? 12 : 0), size_);
  }
}

Result<ClientAddress> ClientAddress::parse_ip(std::string_view text) {
  std::string_view bare = text;
  if (bare.size() > 2 && bare.front() == '[' && bare.back() == ']') bare = bare.substr(1, bare.size() - 2);
  const auto address = address_of(std::string(bare), 0);
  if (!address) return fail(fmt::format("\"{}\" is not an IP address", text));
  return ClientAddress(address->data());
}

std::string ClientAddress::ip_to_string() const {
  if (size_ == 0) return "unix";
  return ip_text(size_ == 4 ? AF_INET : AF_INET6, bytes_.data());
}

std::string ClientAddress::to_string() const {
  if (size_ == 0) return "unix";
  return fmt::format(fmt::runtime(size_ == 4 ? "{}:{}" : "[{}]:{}"), ip_to_string(), port_);
}

}  // namespace weir
