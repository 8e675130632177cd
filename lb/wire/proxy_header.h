#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "lb/base/address.h"
#include "lb/wire/bytes.h"

namespace weir {

/// The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): what a proxy in front says of
/// the client, before the client's own first byte. Pure: functions of bytes, no socket, no clock; any thread.

inline constexpr std::size_t kMaxProxyV1Bytes = 107;  ///< CRLF included
inline constexpr std::size_t kMaxProxyV2Bytes =
    4096;  ///< from the signature's first byte to the last TLV's end

/// Whom a header announces, and what that client connected to. Both are IP; mapped IPv6 is IPv4.
struct ProxiedEnds {
  ClientAddress client;
  ClientAddress destination;

  friend bool operator==(const ProxiedEnds&, const ProxiedEnds&) = default;
};

/// A whole header.
struct ProxyHeader {
  std::uint8_t version = 0;
  bool is_local = false;       ///< v2's LOCAL: the proxy speaks for itself, its health check for instance
  std::size_t size_bytes = 0;  ///< what follows is the client's
  std::optional<ProxiedEnds> announced;  ///< nothing: the connection's own addresses count
  Bytes tlvs;  ///< of v2, well-formed, a part of the bytes given: valid for as long as they are
};

using ProxyHeaderParse = std::variant<NeedsMore, Malformed, ProxyHeader>;

/// Reads the header that `bytes` begin with; what is behind it does not matter. Says "malformed" at the first
/// byte that no header has there. Allocates only then; each call costs O(107) for a v1 header, O(1) for a v2
/// one that is not whole: to be called again for each byte that comes is cheap.
///
/// Nobody is announced by LOCAL (whose block is skipped unread), by UNKNOWN with anything behind it, by
/// UNSPEC, unix and datagram families. TLVs are read behind the addresses of all families that have a length;
/// behind the wholly unspecified one if there are well-formed ones, since nothing says what else may stand
/// there. CRC32C is verified where there is one.
ProxyHeaderParse parse_proxy_header(Bytes bytes);

struct Tlv {
  std::uint8_t type = 0;
  Bytes value;
};

/// The types that Weir treats in a way of their own (PP2_TYPE_…).
inline constexpr std::uint8_t kTlvAuthority = 0x02;
inline constexpr std::uint8_t kTlvCrc32c = 0x03;
inline constexpr std::uint8_t kTlvNoop = 0x04;
inline constexpr std::uint8_t kTlvUniqueId = 0x05;

/// Takes the next one off the front; nothing when `reader` is empty, or fails (see its failed()).
std::optional<Tlv> take_tlv(ByteReader& reader);

/// The line for a backend. A client or a destination without an address: UNKNOWN.
std::string write_proxy_v1(const ClientAddress& client, const ClientAddress& destination);

/// What a v2 header says besides the two ends.
struct ProxyExtras {
  Bytes passed_on;             ///< TLVs that came in, well-formed; all are passed on but CRC32C and NOOP
  std::string_view unique_id;  ///< unless passed_on has one; "" = none
  std::string_view authority;  ///< the same
};

/// The header for a backend, of kMaxProxyV2Bytes at most: each TLV that would pass them is left out, ours
/// (id, then authority) and, where the two addresses are longer than those that came in, also what is passed
/// on. A client or a destination without an address: UNSPEC.
std::string write_proxy_v2(const ClientAddress& client, const ClientAddress& destination,
                           const ProxyExtras& extras);

/// What a probe says that speaks v2.
std::string write_proxy_v2_local();

}  // namespace weir
