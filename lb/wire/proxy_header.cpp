#include "lb/wire/proxy_header.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "lb/wire/crc32c.h"
#include "lb/wire/proxy_wire.h"

namespace weir {
namespace {

constexpr std::string_view kV1Start = "PROXY ";
/// "PROXY UNKNOWN" and CRLF.
constexpr std::size_t kLeastV1Bytes = 15;
constexpr std::string_view kV1TooLong = "v1 header over 107 bytes";

bool begins_alike(std::string_view a, std::string_view b) {
  const std::size_t common = std::min(a.size(), b.size());
  return a.substr(0, common) == b.substr(0, common);
}

Malformed malformed(std::string_view why) {
  return Malformed{std::string(why)};
}

/// Needs at least `more` bytes behind what is there of a line.
ProxyHeaderParse more_of_line(std::string_view line, std::size_t more) {
  if (line.size() + more > kMaxProxyV1Bytes) return malformed(kV1TooLong);
  return NeedsMore{line.size() + more};
}

/// In the order of the line.
enum class Field : std::uint8_t { Source, Destination, SourcePort, DestinationPort };

constexpr std::string_view name_of(Field field) {
  constexpr std::string_view kNames[] = {"source address", "destination address", "source port",
                                         "destination port"};
  return kNames[static_cast<std::size_t>(field)];
}

bool is_port(Field field) {
  return field == Field::SourcePort || field == Field::DestinationPort;
}

std::string_view characters_of(Field field, int family) {
  if (is_port(field)) return "0123456789";
  return family == AF_INET ? "0123456789." : "0123456789abcdefABCDEF:.";
}

/// Plain decimal, no zeroes in front.
std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

/// The address's bytes; glibc's inet_pton takes no zeroes in front and no other short cuts.
std::optional<std::array<std::uint8_t, 16>> ip_of(std::string_view text, int family) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return std::nullopt;
  std::ranges::copy(text, terminated.begin());
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(family, terminated.data(), bytes.data()) != 1) return std::nullopt;
  return bytes;
}

/// What has been read of a TCP4 or TCP6 line.
struct Line {
  int family;
  std::array<std::uint8_t, 16> source{}, destination{};
  std::uint16_t source_port = 0, destination_port = 0;

  bool take(Field field, std::string_view text) {
    if (is_port(field)) {
      const auto port = port_of(text);
      if (port) (field == Field::SourcePort ? source_port : destination_port) = *port;
      return port.has_value();
    }
    const auto ip = ip_of(text, family);
    if (ip) (field == Field::Source ? source : destination) = *ip;
    return ip.has_value();
  }
};

ProxyHeaderParse parse_tcp_line(std::string_view line, std::size_t at, int family) {
  Line read{.family = family};
  for (const Field field : {Field::Source, Field::Destination, Field::SourcePort, Field::DestinationPort}) {
    const bool last = field == Field::DestinationPort;
    const std::size_t end = std::min(line.find_first_not_of(characters_of(field, family), at), line.size());
    const std::string_view text = line.substr(at, end - at);
    // Its end, a character and an end for each field behind it, and the LF.
    const std::size_t fields_behind = 3 - static_cast<std::size_t>(field);
    const std::size_t least_bytes = end + (text.empty() ? 1 : 0) + 1 + 2 * fields_behind + 1;
    if (least_bytes > kMaxProxyV1Bytes) return malformed(kV1TooLong);
    if (end == line.size()) return NeedsMore{least_bytes};
    if (line[end] != (last ? '\r' : ' ') || !read.take(field, text))
      return Malformed{fmt::format("v1 header with a bad {}", name_of(field))};
    at = end + 1;
  }
  if (at == line.size()) return more_of_line(line, 1);
  if (line[at] != '\n') return malformed("v1 header whose CR has no LF behind it");
  const ProxiedEnds ends{wire::address_of(family, read.source.data(), read.source_port),
                         wire::address_of(family, read.destination.data(), read.destination_port)};
  return ProxyHeader{.version = 1, .size_bytes = at + 1, .announced = ends, .tlvs = {}};
}

ProxyHeaderParse parse_unknown_line(std::string_view line, std::size_t at) {
  if (at == line.size()) return more_of_line(line, 2);
  if (line[at] != ' ' && line[at] != '\r') return malformed("v1 header of no known protocol");
  if (line[at] == '\r' && at + 1 < line.size() && line[at + 1] != '\n')
    return malformed("v1 header whose CR has no LF behind it");
  const std::size_t end = line.find("\r\n", at);
  if (end == std::string_view::npos) return more_of_line(line, line.back() == '\r' ? 1 : 2);
  return ProxyHeader{.version = 1, .size_bytes = end + 2, .announced = {}, .tlvs = {}};
}

ProxyHeaderParse parse_v1(std::string_view text) {
  const std::string_view line = text.substr(0, kMaxProxyV1Bytes);
  if (!begins_alike(line, kV1Start)) return malformed("no PROXY header");
  if (line.size() <= kV1Start.size()) return NeedsMore{kLeastV1Bytes};
  const std::string_view protocol = line.substr(kV1Start.size());
  struct Known {
    std::string_view word;
    int family;
  };
  for (const auto& [word, family] : {Known{"TCP4 ", AF_INET}, {"TCP6 ", AF_INET6}, {"UNKNOWN", AF_UNSPEC}}) {
    if (!begins_alike(protocol, word)) continue;
    if (protocol.size() < word.size()) return NeedsMore{std::max(kLeastV1Bytes, line.size() + 1)};
    const std::size_t at = kV1Start.size() + word.size();
    return family == AF_UNSPEC ? parse_unknown_line(line, at) : parse_tcp_line(line, at, family);
  }
  return malformed("v1 header of no known protocol");
}

/// Goes through what is behind the addresses. Nothing wrong: "".
std::string_view fault_of_tlvs(Bytes header, Bytes tlvs) {
  ByteReader reader(tlvs);
  Bytes checksum;
  while (const auto tlv = take_tlv(reader)) {
    if (tlv->type == kTlvUniqueId && tlv->value.size() > wire::kMaxUniqueIdBytes)
      return "v2 header with a unique id over 128 bytes";
    if (tlv->type != kTlvCrc32c) continue;
    if (tlv->value.size() != 4 || checksum.data() != nullptr) return "v2 header with a bad CRC32C TLV";
    checksum = tlv->value;
  }
  if (reader.failed()) return "v2 header with a TLV that passes its end";
  if (checksum.data() == nullptr) return {};
  // Over the whole header, the checksum itself being zeroes.
  constexpr std::uint8_t kZeroes[4] = {};
  const auto before = static_cast<std::size_t>(checksum.data() - header.data());
  const std::uint32_t sum = crc32c(header.subspan(before + 4), crc32c(kZeroes, crc32c(header.first(before))));
  return sum == ByteReader(checksum).take_u32() ? std::string_view() : "v2 header with a wrong CRC32C";
}

/// A header that is whole, by family and protocol.
ProxyHeaderParse read_block(Bytes whole, std::uint8_t family_and_protocol) {
  const unsigned family = family_and_protocol >> 4;
  const unsigned protocol = family_and_protocol & 0xfu;
  ProxyHeader header{.version = 2, .size_bytes = whole.size(), .announced = {}, .tlvs = {}};
  ByteReader reader(whole.subspan(wire::kV2FixedBytes));
  if (family == wire::kUnspec || protocol == wire::kUnspec) {
    // Of what length an address is whose protocol is not said, nobody knows.
    if (family_and_protocol != 0) return header;
    ByteReader tlvs = reader;
    while (take_tlv(tlvs)) continue;
    if (tlvs.failed()) return header;
  } else {
    const std::size_t ip_bytes = family == wire::kInet ? 4 : 16;
    const Bytes block = reader.take(wire::address_bytes(family));
    if (family != wire::kUnix && protocol == wire::kStream) {
      ByteReader ends(block);
      const Bytes source = ends.take(ip_bytes);
      const Bytes destination = ends.take(ip_bytes);
      const std::uint16_t source_port = ends.take_u16();
      const int own_family = family == wire::kInet ? AF_INET : AF_INET6;
      header.announced = {wire::address_of(own_family, source.data(), source_port),
                          wire::address_of(own_family, destination.data(), ends.take_u16())};
    }
  }
  header.tlvs = reader.rest();
  if (const auto fault = fault_of_tlvs(whole, header.tlvs); !fault.empty()) return malformed(fault);
  return header;
}

ProxyHeaderParse parse_v2(Bytes bytes) {
  const std::string_view start = text_of(bytes).substr(0, wire::kV2Signature.size());
  if (!begins_alike(start, wire::kV2Signature)) return malformed("no PROXY header");
  // What is there of the fixed part is judged byte by byte.
  const auto at = [bytes](std::size_t index) -> unsigned { return bytes.size() > index ? bytes[index] : 0; };
  const bool has_command = bytes.size() > wire::kCommandAt;
  if (has_command && at(wire::kCommandAt) >> 4 != 2) return malformed("v2 header of another version");
  const unsigned command = at(wire::kCommandAt) & 0xfu;
  if (has_command && command > wire::kProxy) return malformed("v2 header with an unknown command");
  const bool is_local = command == wire::kLocal;
  const auto family_and_protocol = static_cast<std::uint8_t>(at(wire::kFamilyAt));
  const unsigned family = family_and_protocol >> 4;
  const unsigned protocol = family_and_protocol & 0xfu;
  if (!is_local && family > wire::kUnix) return malformed("v2 header with an unknown family");
  if (!is_local && protocol > wire::kDatagram) return malformed("v2 header with an unknown protocol");
  if (bytes.size() < wire::kV2FixedBytes) return NeedsMore{wire::kV2FixedBytes};

  const std::size_t block_bytes = ByteReader(bytes.subspan(wire::kLengthAt)).take_u16();
  const std::size_t whole_bytes = wire::kV2FixedBytes + block_bytes;
  if (whole_bytes > kMaxProxyV2Bytes)
    return Malformed{fmt::format("v2 header of {} bytes, over {}", whole_bytes, kMaxProxyV2Bytes)};
  const bool has_length = family != wire::kUnspec && protocol != wire::kUnspec;
  if (!is_local && has_length && block_bytes < wire::address_bytes(family))
    return malformed("v2 header that is too short for its addresses");
  if (bytes.size() < whole_bytes) return NeedsMore{whole_bytes};
  if (is_local)
    return ProxyHeader{
        .version = 2, .is_local = true, .size_bytes = whole_bytes, .announced = {}, .tlvs = {}};
  return read_block(bytes.first(whole_bytes), family_and_protocol);
}

}  // namespace

std::optional<Tlv> take_tlv(ByteReader& reader) {
  if (reader.empty()) return std::nullopt;
  const std::uint8_t type = reader.take_u8();
  const Bytes value = reader.take_vector16();
  if (reader.failed()) return std::nullopt;
  return Tlv{type, value};
}

ProxyHeaderParse parse_proxy_header(Bytes bytes) {
  if (bytes.empty()) return NeedsMore{kLeastV1Bytes};
  return bytes.front() == static_cast<std::uint8_t>(wire::kV2Signature.front()) ? parse_v2(bytes)
                                                                                : parse_v1(text_of(bytes));
}

}  // namespace weir
