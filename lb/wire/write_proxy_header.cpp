#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lb/wire/proxy_header.h"
#include "lb/wire/proxy_wire.h"

namespace weir {
namespace {

bool have_addresses(const ClientAddress& client, const ClientAddress& destination) {
  return !client.ip().empty() && !destination.ip().empty();
}

bool are_both_v4(const ClientAddress& client, const ClientAddress& destination) {
  return client.ip().size() == 4 && destination.ip().size() == 4;
}

/// As IPv6, mapped where it is IPv4 (RFC 4291, 2.5.5.2).
std::array<std::uint8_t, 16> v6_of(const ClientAddress& address) {
  std::array<std::uint8_t, 16> bytes{};
  const auto ip = address.ip();
  if (ip.size() == 4) bytes[10] = bytes[11] = 0xff;
  std::ranges::copy(ip, bytes.end() - static_cast<std::ptrdiff_t>(ip.size()));
  return bytes;
}

std::string v6_text(const ClientAddress& address) {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(AF_INET6, v6_of(address).data(), text, sizeof text);
}

void append(std::string& out, Bytes bytes) {
  out.append(text_of(bytes));
}

void append_u16(std::string& out, std::size_t number) {
  out.push_back(static_cast<char>(number >> 8 & 0xff));
  out.push_back(static_cast<char>(number & 0xff));
}

constexpr std::size_t kTlvHeadBytes = 3;

void append_tlv(std::string& out, std::uint8_t type, std::string_view value) {
  out.push_back(static_cast<char>(type));
  append_u16(out, value.size());
  out.append(value);
}

/// One of Weir's own, where it fits.
void append_own(std::string& out, std::uint8_t type, std::string_view value, bool brought) {
  if (value.empty() || brought || out.size() + kTlvHeadBytes + value.size() > kMaxProxyV2Bytes) return;
  append_tlv(out, type, value);
}

/// The fixed part, of a block that is empty yet.
std::string begin_v2(unsigned command, unsigned family, unsigned protocol) {
  std::string out(wire::kV2Signature);
  out.push_back(static_cast<char>(2 << 4 | command));
  out.push_back(static_cast<char>(family << 4 | protocol));
  append_u16(out, 0);
  return out;
}

void append_ends(std::string& out, const ClientAddress& client, const ClientAddress& destination) {
  if (are_both_v4(client, destination)) {
    append(out, client.ip());
    append(out, destination.ip());
  } else {
    append(out, v6_of(client));
    append(out, v6_of(destination));
  }
  append_u16(out, client.port());
  append_u16(out, destination.port());
}

}  // namespace

std::string write_proxy_v1(const ClientAddress& client, const ClientAddress& destination) {
  if (!have_addresses(client, destination)) return "PROXY UNKNOWN\r\n";
  if (are_both_v4(client, destination))
    return fmt::format("PROXY TCP4 {} {} {} {}\r\n", client.ip_to_string(), destination.ip_to_string(),
                       client.port(), destination.port());
  return fmt::format("PROXY TCP6 {} {} {} {}\r\n", v6_text(client), v6_text(destination), client.port(),
                     destination.port());
}

std::string write_proxy_v2(const ClientAddress& client, const ClientAddress& destination,
                           const ProxyExtras& extras) {
  std::string out;
  if (have_addresses(client, destination)) {
    out =
        begin_v2(wire::kProxy, are_both_v4(client, destination) ? wire::kInet : wire::kInet6, wire::kStream);
    append_ends(out, client, destination);
  } else {
    out = begin_v2(wire::kProxy, wire::kUnspec, wire::kUnspec);
  }
  bool has_id = false;
  bool has_authority = false;
  ByteReader passed_on(extras.passed_on);
  while (const auto tlv = take_tlv(passed_on)) {
    if (tlv->type == kTlvCrc32c || tlv->type == kTlvNoop) continue;
    if (out.size() + kTlvHeadBytes + tlv->value.size() > kMaxProxyV2Bytes) continue;
    has_id |= tlv->type == kTlvUniqueId;
    has_authority |= tlv->type == kTlvAuthority;
    append_tlv(out, tlv->type, text_of(tlv->value));
  }
  append_own(out, kTlvUniqueId, extras.unique_id, has_id);
  append_own(out, kTlvAuthority, extras.authority, has_authority);
  const std::size_t block_bytes = out.size() - wire::kV2FixedBytes;
  out[wire::kLengthAt] = static_cast<char>(block_bytes >> 8 & 0xff);
  out[wire::kLengthAt + 1] = static_cast<char>(block_bytes & 0xff);
  return out;
}

std::string write_proxy_v2_local() {
  return begin_v2(wire::kLocal, wire::kUnspec, wire::kUnspec);
}

}  // namespace weir
