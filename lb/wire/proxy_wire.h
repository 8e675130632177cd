#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "lb/base/address.h"

/// The numbers of the PROXY protocol's version 2 that its reader and its writer share
/// (doc/proxy-protocol.txt, 2.2).
namespace weir::wire {

inline constexpr std::string_view kV2Signature{"\r\n\r\n\0\r\nQUIT\n", 12};
inline constexpr std::size_t kCommandAt = 12;  ///< version and command
inline constexpr std::size_t kFamilyAt = 13;   ///< family and protocol
inline constexpr std::size_t kLengthAt = 14;
inline constexpr std::size_t kV2FixedBytes = 16;

inline constexpr unsigned kLocal = 0;
inline constexpr unsigned kProxy = 1;

inline constexpr unsigned kUnspec = 0;  ///< a family, and a protocol
inline constexpr unsigned kInet = 1;
inline constexpr unsigned kInet6 = 2;
inline constexpr unsigned kUnix = 3;
inline constexpr unsigned kStream = 1;
inline constexpr unsigned kDatagram = 2;

inline constexpr std::size_t kMaxUniqueIdBytes = 128;

/// Of the two ends together, ports included.
constexpr std::size_t address_bytes(unsigned family) {
  constexpr std::size_t kSizes[] = {0, 12, 36, 216};
  return kSizes[family];
}

/// `family` is the system's; `ip` has its 4 or 16 bytes.
inline ClientAddress address_of(int family, const std::uint8_t* ip, std::uint16_t port) {
  if (family == AF_INET) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, ip, sizeof v4.sin_addr);
    return ClientAddress(reinterpret_cast<const sockaddr*>(&v4));
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, ip, sizeof v6.sin6_addr);
  return ClientAddress(reinterpret_cast<const sockaddr*>(&v6));
}

}  // namespace weir::wire
