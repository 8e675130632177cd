#include "lb/wire/proxy_header.h"

#include <vector>

#include "lb/wire/crc32c.h"
#include "tests/unit/wire/feeding.h"

using namespace weir;
using namespace weir::test;
using namespace std::string_literals;

namespace {

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string v2(std::uint8_t command, std::uint8_t family, const std::string& block) {
  return kSignature + static_cast<char>(0x20 | command) + static_cast<char>(family) + u16(block.size()) +
         block;
}

const std::string kV4Ends =
    "\x01\x02\x03\x04\x0a\x00\x00\x01\x30\x39\x01\xbb"s;  // 1.2.3.4:12345 10.0.0.1:443

std::string tlv(std::uint8_t type, const std::string& value) {
  return static_cast<char>(type) + u16(value.size()) + value;
}

/// The header that `text` begins with, whatever is behind it; and every cut of it is not enough.
ProxyHeader header_of(const std::string& text, std::size_t size) {
  INFO(text);
  const auto parsed = parse_proxy_header(Exact(text).bytes());
  if (const auto* bad = std::get_if<Malformed>(&parsed)) FAIL(bad->why);
  REQUIRE(std::holds_alternative<ProxyHeader>(parsed));
  auto header = std::get<ProxyHeader>(parsed);
  CHECK(header.size_bytes == size);
  check_every_cut(text, size, parse_proxy_header);
  header.tlvs = {};  // what it pointed to is gone
  return header;
}

ProxyHeader header_of(const std::string& text) {
  header_of(text + "GET / HTTP/1.1\r\n\r\n", text.size());
  return header_of(text, text.size());
}

std::string ends_of(const ProxyHeader& header) {
  if (!header.announced) return "nobody";
  return header.announced->client.to_string() + " " + header.announced->destination.to_string();
}

std::string fault_of(const std::string& text) {
  check_every_cut(text, text.size(), parse_proxy_header);
  const auto parsed = parse_proxy_header(Exact(text).bytes());
  if (std::holds_alternative<NeedsMore>(parsed)) return "needs more";
  const auto* bad = std::get_if<Malformed>(&parsed);
  return bad != nullptr ? bad->why : "whole";
}

std::string with_checksum(const std::string& before, const std::string& behind = "") {
  std::string text = v2(1, 0x11, kV4Ends + before + tlv(kTlvCrc32c, std::string(4, '\0')) + behind);
  const std::uint32_t sum = crc32c(Exact(text).bytes());
  const std::size_t at = 16 + kV4Ends.size() + before.size() + 3;
  for (std::size_t i = 0; i < 4; ++i) text[at + i] = static_cast<char>(sum >> (24 - 8 * i) & 0xff);
  return text;
}

ClientAddress client(std::string_view ip, std::uint16_t port) {
  const bool v6 = ip.find(':') != std::string_view::npos;
  const auto text = (v6 ? "[" : "") + std::string(ip) + (v6 ? "]:" : ":") + std::to_string(port);
  return ClientAddress(Address::parse_ip_port(text)->data());
}

}  // namespace

TEST_CASE("a line of version 1 announces the client and what it connected to") {
  const auto [line, ends] = GENERATE(table<std::string, std::string>({
      {"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324 192.168.0.11:443"},
      {"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", "255.255.255.255:65535 0.0.0.0:0"},
      {"PROXY TCP6 2001:db8::1 2001:DB8::2 1 2\r\n", "[2001:db8::1]:1 [2001:db8::2]:2"},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 "
       "65535\r\n",
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 [ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535"},
      {"PROXY TCP6 ::ffff:1.2.3.4 ::ffff:102:305 1 2\r\n", "1.2.3.4:1 1.2.3.5:2"},
      {"PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n", "1.2.3.4:1 [::1]:2"},
      {"PROXY UNKNOWN\r\n", "nobody"},
      {"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "nobody"},
      {"PROXY UNKNOWN  any\rthing\n\0 at all \r\r\n"s, "nobody"},
      {"PROXY UNKNOWN " + std::string(91, 'x') + "\r\n", "nobody"},
  }));
  const ProxyHeader header = header_of(line);
  CHECK(ends_of(header) == ends);
  CHECK(header.version == 1);
  CHECK_FALSE(header.is_local);
}

TEST_CASE("a line of version 1 that is not exactly one is malformed") {
  const auto [line, why] = GENERATE(table<std::string, std::string>({
      {"GET / HTTP/1.1\r\n\r\n", "no PROXY header"},
      {"\x16\x03\x01", "no PROXY header"},
      {"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY header"},
      {"PROXY\tTCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY header"},
      {"PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "v1 header of no known protocol"},
      {"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", "v1 header of no known protocol"},
      {"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", "v1 header of no known protocol"},
      {"PROXY UNKNOWNS\r\n", "v1 header of no known protocol"},
      {"PROXY TCP4\r\n", "v1 header of no known protocol"},
      {"PROXY \r\n", "v1 header of no known protocol"},
      {"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP4 1.1.1.1.1 2.2.2.2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP4 256.1.1.1 2.2.2.2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2. 1 2\r\n", "v1 header with a bad destination address"},
      {"PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n", "v1 header with a bad destination address"},
      {"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP4 ::1 ::2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP6 ::1::2 ::2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP6 00001::2 ::2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP6 [::1] ::2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP6 1:2:3:4:5:6:7 ::2 1 2\r\n", "v1 header with a bad source address"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "v1 header with a bad source port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 00 2\r\n", "v1 header with a bad source port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n", "v1 header with a bad source port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n", "v1 header with a bad source port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", "v1 header with a bad source port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 4294967297 2\r\n", "v1 header with a bad source port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "v1 header with a bad source port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", "v1 header with a bad destination port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", "v1 header with a bad destination port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n", "v1 header with a bad destination port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "v1 header with a bad destination port"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n", "v1 header whose CR has no LF behind it"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rGET", "v1 header whose CR has no LF behind it"},
      {"PROXY UNKNOWN\rx\r\n", "v1 header whose CR has no LF behind it"},
      {"PROXY UNKNOWN\n", "v1 header of no known protocol"},
      {"PROXY TCP4 1.1.1.1\0 2.2.2.2 1 2\r\n"s, "v1 header with a bad source address"},
      {"PROXY UNKNOWN " + std::string(92, 'x') + "\r\n", "v1 header over 107 bytes"},
      {"PROXY UNKNOWN " + std::string(5000, 'x'), "v1 header over 107 bytes"},
      {"PROXY TCP4 " + std::string(5000, '1'), "v1 header over 107 bytes"},
      // Known before the character that is wrong, too.
      {"PROXY TCP4 " + std::string(90, '1') + "x", "v1 header over 107 bytes"},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255 "
       "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255 1x",
       "v1 header over 107 bytes"},
  }));
  CAPTURE(line);
  CHECK(fault_of(line) == why);
}

TEST_CASE("what fits neither version is known by its first byte") {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    CHECK(fault_of(text) == (byte == 'P' || byte == '\r' ? "needs more" : "no PROXY header"));
  }
}

TEST_CASE("a header of version 2 announces the client, or nobody") {
  const std::string v6_ends = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x01" +
                              std::string(10, '\0') + "\xff\xff\x0a\x00\x00\x02"s + "\x00\x50\x01\xbb"s;
  const auto [text, ends] = GENERATE_COPY(table<std::string, std::string>({
      {v2(1, 0x11, kV4Ends), "1.2.3.4:12345 10.0.0.1:443"},
      {v2(1, 0x11, kV4Ends + tlv(0xea, "x")), "1.2.3.4:12345 10.0.0.1:443"},
      {v2(1, 0x21, v6_ends), "[2001:db8::1]:80 10.0.0.2:443"},
      {v2(1, 0x12, kV4Ends), "nobody"},
      {v2(1, 0x22, v6_ends), "nobody"},
      {v2(1, 0x31, std::string(216, 'u')), "nobody"},
      {v2(1, 0x32, std::string(216, 'u') + tlv(2, "a.example")), "nobody"},
      {v2(1, 0x00, ""), "nobody"},
      {v2(1, 0x00, "what nobody knows"), "nobody"},
      {v2(1, 0x00, std::string(4080, 'x')), "nobody"},
      {v2(1, 0x10, "\x01"), "nobody"},
      {v2(1, 0x01, kV4Ends), "nobody"},
      {v2(1, 0x30, ""), "nobody"},
      {v2(1, 0x11, kV4Ends + tlv(0xe0, std::string(4065, 'x'))), "1.2.3.4:12345 10.0.0.1:443"},
  }));
  const ProxyHeader header = header_of(text);
  CHECK(ends_of(header) == ends);
  CHECK(header.version == 2);
  CHECK_FALSE(header.is_local);
}

TEST_CASE("LOCAL announces nobody, and its block is skipped unread") {
  const auto text =
      GENERATE(v2(0, 0x00, ""), v2(0, 0x11, kV4Ends), v2(0, 0x11, "short"), v2(0, 0xff, "any"),
               v2(0, 0x11, kV4Ends + tlv(kTlvCrc32c, "bad")), v2(0, 0x00, std::string(4080, 'x')));
  const ProxyHeader header = header_of(text);
  CHECK(header.is_local);
  CHECK_FALSE(header.announced);
}

TEST_CASE("a header of version 2 that is wrong is malformed as early as it shows") {
  const auto [text, why] = GENERATE(table<std::string, std::string>({
      {"\r\n\r\n\0\r\nQUIT\r"s, "no PROXY header"},
      {"\r\nGET", "no PROXY header"},
      {kSignature + "\x11", "v2 header of another version"},
      {kSignature + "\x31", "v2 header of another version"},
      {kSignature + "\x22", "v2 header with an unknown command"},
      {kSignature + "\x2f", "v2 header with an unknown command"},
      {kSignature + "\x21\x41", "v2 header with an unknown family"},
      {kSignature + "\x21\xf0", "v2 header with an unknown family"},
      {kSignature + "\x21\x13", "v2 header with an unknown protocol"},
      {kSignature + "\x21\x11" + u16(11), "v2 header that is too short for its addresses"},
      {kSignature + "\x21\x21" + u16(35), "v2 header that is too short for its addresses"},
      {kSignature + "\x21\x12" + u16(0), "v2 header that is too short for its addresses"},
      {kSignature + "\x21\x31" + u16(215), "v2 header that is too short for its addresses"},
      {kSignature + "\x21\x11" + u16(4081), "v2 header of 4097 bytes, over 4096"},
      {kSignature + "\x20\0"s + u16(65535), "v2 header of 65551 bytes, over 4096"},
      {v2(1, 0x11, kV4Ends + "\x01"), "v2 header with a TLV that passes its end"},
      {v2(1, 0x11, kV4Ends + "\x01\x00"s), "v2 header with a TLV that passes its end"},
      {v2(1, 0x11, kV4Ends + "\x01\x00\x01"s), "v2 header with a TLV that passes its end"},
      {v2(1, 0x11,
          kV4Ends + tlv(1, "h2") +
              "\x02\x00\x05"
              "abc"s),
       "v2 header with a TLV that passes its end"},
      {v2(1, 0x31, std::string(216, 'u') + "x"), "v2 header with a TLV that passes its end"},
      {v2(1, 0x11, kV4Ends + tlv(kTlvCrc32c, "abc")), "v2 header with a bad CRC32C TLV"},
      {v2(1, 0x11, kV4Ends + tlv(kTlvCrc32c, "")), "v2 header with a bad CRC32C TLV"},
      {v2(1, 0x11, kV4Ends + tlv(kTlvCrc32c, "abcd")), "v2 header with a wrong CRC32C"},
      {v2(1, 0x00, tlv(kTlvCrc32c, "abcd")), "v2 header with a wrong CRC32C"},
      {v2(1, 0x11, kV4Ends + tlv(kTlvUniqueId, std::string(129, 'i'))),
       "v2 header with a unique id over 128 bytes"},
  }));
  CAPTURE(text);
  CHECK(fault_of(text) == why);
}

TEST_CASE("a checksum is of the whole header, wherever its TLV stands") {
  const auto text = GENERATE(with_checksum(""), with_checksum(tlv(1, "h2")),
                             with_checksum(tlv(kTlvNoop, ""), tlv(kTlvUniqueId, "id")));
  CHECK(ends_of(header_of(text)) == "1.2.3.4:12345 10.0.0.1:443");
  for (std::size_t i = 16; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CAPTURE(i);
    CHECK_FALSE(fault_of(changed) == "needs more");
    // A changed type of the checksum's TLV makes it one that nobody knows.
    if (changed.find(tlv(kTlvCrc32c, "").front()) != std::string::npos && i < 16 + kV4Ends.size())
      CHECK(fault_of(changed) == "v2 header with a wrong CRC32C");
  }
  const std::string twice = with_checksum("", tlv(kTlvCrc32c, std::string(4, '\0')));
  CHECK(fault_of(twice) == "v2 header with a bad CRC32C TLV");
}

TEST_CASE("CRC32C gives what RFC 3720 has for it") {
  // B.4
  CHECK(crc32c(Exact(std::string(32, '\0')).bytes()) == 0x8a9136aa);
  CHECK(crc32c(Exact(std::string(32, '\xff')).bytes()) == 0x62a8ab43);
  CHECK(crc32c(Exact("123456789").bytes()) == 0xe3069283);
  CHECK(crc32c(Exact("456789").bytes(), crc32c(Exact("123").bytes())) == 0xe3069283);
}

TEST_CASE("TLVs are handed on as a part of the header's bytes") {
  const std::string tlvs = tlv(1, "h2") + tlv(0xe3, "");
  for (const auto& [family, block] : {std::pair<std::uint8_t, std::string>{0x11, kV4Ends}, {0x00, ""}}) {
    const Exact text(v2(1, family, block + tlvs));
    const auto parsed = parse_proxy_header(text.bytes());
    const auto& header = std::get<ProxyHeader>(parsed);
    CHECK(text_of(header.tlvs) == tlvs);
    ByteReader reader(header.tlvs);
    const auto first = take_tlv(reader);
    REQUIRE(first);
    CHECK(first->type == 1);
    CHECK(text_of(first->value) == "h2");
    CHECK(take_tlv(reader)->type == 0xe3);
    CHECK_FALSE(take_tlv(reader));
    CHECK_FALSE(reader.failed());
  }
}

TEST_CASE("a written header reads back") {
  const auto [from, to, ends, line] = GENERATE(table<ClientAddress, ClientAddress, std::string, std::string>({
      {client("1.2.3.4", 5), client("6.7.8.9", 80), "1.2.3.4:5 6.7.8.9:80",
       "PROXY TCP4 1.2.3.4 6.7.8.9 5 80\r\n"},
      {client("2001:db8::1", 5), client("::1", 80), "[2001:db8::1]:5 [::1]:80",
       "PROXY TCP6 2001:db8::1 ::1 5 80\r\n"},
      {client("1.2.3.4", 5), client("::1", 80), "1.2.3.4:5 [::1]:80",
       "PROXY TCP6 ::ffff:1.2.3.4 ::1 5 80\r\n"},
      {client("::1", 65535), client("10.0.0.1", 1), "[::1]:65535 10.0.0.1:1",
       "PROXY TCP6 ::1 ::ffff:10.0.0.1 65535 1\r\n"},
      {ClientAddress(), client("10.0.0.1", 1), "nobody", "PROXY UNKNOWN\r\n"},
      {client("10.0.0.1", 1), ClientAddress(), "nobody", "PROXY UNKNOWN\r\n"},
  }));
  CHECK(write_proxy_v1(from, to) == line);
  CHECK(ends_of(header_of(line)) == ends);
  const std::string binary = write_proxy_v2(from, to, {});
  CHECK(ends_of(header_of(binary)) == ends);
  const bool v4 = from.ip().size() == 4 && to.ip().size() == 4;
  CHECK(binary.size() == (ends == "nobody" ? 16 : v4 ? 28 : 52));
  CHECK(header_of(write_proxy_v2_local()).is_local);
}

TEST_CASE("what came in is passed on but for checksum and padding; what it lacks is ours") {
  const ClientAddress from = client("1.2.3.4", 12345);
  const ClientAddress to = client("10.0.0.1", 443);
  const auto written = [&](const std::string& tlvs, std::string_view id, std::string_view authority) {
    const Exact in(tlvs);
    return write_proxy_v2(from, to, {.passed_on = in.bytes(), .unique_id = id, .authority = authority});
  };
  CHECK(written("", "id", "a.example") ==
        v2(1, 0x11, kV4Ends + tlv(kTlvUniqueId, "id") + tlv(kTlvAuthority, "a.example")));
  CHECK(written(tlv(kTlvCrc32c, "abcd") + tlv(0x20, "ssl") + tlv(kTlvNoop, "---"), "id", "") ==
        v2(1, 0x11, kV4Ends + tlv(0x20, "ssl") + tlv(kTlvUniqueId, "id")));
  CHECK(written(tlv(kTlvUniqueId, "theirs") + tlv(kTlvAuthority, "b.example"), "id", "a.example") ==
        v2(1, 0x11, kV4Ends + tlv(kTlvUniqueId, "theirs") + tlv(kTlvAuthority, "b.example")));
  CHECK(written(tlv(kTlvAuthority, "b.example"), "id", "a.example") ==
        v2(1, 0x11, kV4Ends + tlv(kTlvAuthority, "b.example") + tlv(kTlvUniqueId, "id")));
}

TEST_CASE("our own words are left out where the header would pass 4,096 bytes") {
  const ClientAddress from = client("1.2.3.4", 12345);
  const auto size_with = [&](std::size_t value_bytes, std::string_view id, std::string_view authority) {
    const Exact in(tlv(0xe0, std::string(value_bytes, 'x')));
    const std::string text =
        write_proxy_v2(from, from, {.passed_on = in.bytes(), .unique_id = id, .authority = authority});
    CHECK_FALSE(header_of(text).announced == std::nullopt);
    return text.size();
  };
  CHECK(size_with(4060, "id", "") == 28 + 3 + 4060 + 5);
  CHECK(size_with(4061, "id", "") == 28 + 3 + 4061);
  CHECK(size_with(4065, "id", "") == 4096);
  CHECK(size_with(4060, "too long", "a") == 28 + 3 + 4060 + 4);
  // So is what came in, where it had no addresses before it.
  CHECK(size_with(4066, "id", "") == 28 + 5);
}
