#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lb/base/error.h"

namespace weir {

/// The longest path of a unix socket, without its closing NUL (sockaddr_un), and the longest abstract name,
/// without the NUL before it.
inline constexpr std::size_t kMaxUnixPath = sizeof(sockaddr_un::sun_path) - 1;

/// A socket address that bind() and connect() take: IPv4, IPv6 (with a zone where it is link-local), a unix
/// path or an abstract unix name (unix(7)), which has no file and no mode. A value.
class Address {
 public:
  Address() = default;
  Address(const sockaddr* address, socklen_t size);

  /// Reads "203.0.113.9:80" or "[2001:db8::1]:80". Port 0 is read too: whether it is allowed is the caller's
  /// affair.
  static Result<Address> parse_ip_port(std::string_view text);
  static Result<Address> unix_path(std::string_view path);
  /// What stands behind "unix:": a path, or "@name" for an abstract one.
  static Result<Address> parse_unix(std::string_view text);

  const sockaddr* data() const { return &storage_.generic; }
  socklen_t size() const { return size_; }
  int family() const { return storage_.generic.sa_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  std::uint16_t port() const;  ///< 0 for a unix path
  void set_port(std::uint16_t port);
  std::string_view path() const;  ///< of a unix socket that has one, else empty
  bool has_file() const { return !path().empty(); }
  bool is_wildcard() const;  ///< 0.0.0.0 or [::]
  /// "203.0.113.9:80", "[::1]:80", "[fe80::1%eth0]:80", "unix:/run/x.sock", "unix:@name"
  std::string to_string() const;
  std::string host_to_string() const;  ///< the same without port, brackets and "unix:"

  friend bool operator==(const Address& a, const Address& b);

 private:
  union {
    sockaddr generic;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  } storage_{};
  socklen_t size_ = sizeof(sa_family_t);
};

/// A host name in small letters: names are compared without regard to case (RFC 4343), by ASCII alone.
std::string lower_host(std::string_view host);

/// Something to connect to as the configuration writes it: an address, or a name that has yet to be resolved.
struct Endpoint {
  std::string text;                ///< as written
  std::optional<Address> address;  ///< absent for host:port
  std::string host;                ///< set for host:port only
  std::uint16_t port = 0;          ///< 0 for a unix path

  friend bool operator==(const Endpoint& a, const Endpoint& b) { return a.text == b.text; }
};

/// Reads ip:port, [v6]:port, host:port, unix:/path or unix:@name. Port 1 to 65535.
Result<Endpoint> parse_endpoint(std::string_view text);

/// A client's address in 19 bytes, IPv4-mapped IPv6 (`::ffff:a.b.c.d`) folded to IPv4. A value; compares
/// bytewise.
class ClientAddress {
 public:
  ClientAddress() = default;  ///< the client of a unix listener
  explicit ClientAddress(const sockaddr* address);
  static Result<ClientAddress> parse_ip(
      std::string_view text);  ///< "203.0.113.9", "2001:db8::1", "[::1]"; port 0

  /// 4 bytes, 16 bytes, or none for a unix client.
  std::span<const std::uint8_t> ip() const { return {bytes_.data(), size_}; }
  std::uint16_t port() const { return port_; }
  std::string ip_to_string() const;
  std::string to_string() const;  ///< "203.0.113.9:51234", "[::1]:51234", "unix"

  friend bool operator==(const ClientAddress&, const ClientAddress&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  std::uint16_t port_ = 0;
  std::uint8_t size_ = 0;
};

}  // namespace weir
