#include "lb/wire/client_hello.h"

#include <algorithm>
#include <bitset>
#include <vector>

namespace weir {
namespace {

// RFC 8446, 5.1 and B.1 to B.3.
constexpr std::size_t kRecordHeadBytes = 5;
constexpr std::size_t kMaxFragmentBytes = 1u << 14;
constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kMajorVersion = 3;
constexpr std::size_t kMessageHeadBytes = 4;
constexpr std::uint8_t kClientHelloMessage = 1;
constexpr std::size_t kVersionAndRandomBytes = 2 + 32;
constexpr std::uint16_t kServerNameExtension = 0;
constexpr std::uint16_t kAlpnExtension = 16;
constexpr std::uint8_t kHostNameType = 0;  // RFC 6066, 3

Malformed malformed(std::string_view why) {
  return Malformed{std::string(why)};
}

/// Nothing wrong: "".
std::string_view read_server_name(Bytes extension, std::string& out) {
  ByteReader reader(extension);
  ByteReader list(reader.take_vector16());
  if (reader.failed() || !reader.empty() || list.empty()) return "client hello with a bad list of names";
  bool found = false;
  while (!list.empty()) {
    const bool is_host_name = list.take_u8() == kHostNameType;
    const std::string_view name = text_of(list.take_vector16());
    if (list.failed()) return "client hello with a bad list of names";
    if (!is_host_name) continue;
    if (found) return "client hello with two names";
    if (name.empty()) return "client hello with an empty name";
    if (name.find('\0') != std::string_view::npos) return "client hello with a NUL in its name";
    found = true;
    out = name;
  }
  return {};
}

/// Nothing wrong: "".
std::string_view read_alpn(Bytes extension, std::string& out) {
  ByteReader reader(extension);
  const Bytes list = reader.take_vector16();
  if (reader.failed() || !reader.empty() || list.empty()) return "client hello with a bad ALPN list";
  ByteReader protocols(list);
  while (!protocols.empty())
    if (protocols.take_vector8().empty()) return "client hello with a bad ALPN list";
  out = text_of(list);
  return {};
}

/// `body`: of the whole message, behind its head.
ClientHelloParse parse_body(Bytes body) {
  ByteReader reader(body);
  reader.take(kVersionAndRandomBytes);
  reader.take_vector8();   // session id
  reader.take_vector16();  // cipher suites
  reader.take_vector8();   // compression methods
  if (reader.failed()) return malformed("client hello that is shorter than its parts");
  if (reader.empty()) return ClientHello();  // as before there were extensions
  ByteReader extensions(reader.take_vector16());
  if (reader.failed() || !reader.empty())
    return malformed("client hello with a bad length of its extensions");

  std::string server_name;
  std::string alpn_list;
  std::bitset<65536> seen;
  while (!extensions.empty()) {
    const std::uint16_t type = extensions.take_u16();
    const Bytes extension = extensions.take_vector16();
    if (extensions.failed()) return malformed("client hello with an extension that passes its end");
    if (seen.test(type)) return malformed("client hello with an extension twice");
    seen.set(type);
    std::string_view fault;
    if (type == kServerNameExtension) fault = read_server_name(extension, server_name);
    if (type == kAlpnExtension) fault = read_alpn(extension, alpn_list);
    if (!fault.empty()) return malformed(fault);
  }
  return ClientHello(std::move(server_name), std::move(alpn_list));
}

/// The fragments of the records that `bytes` consist of, one after another, `size` bytes of them.
std::vector<std::uint8_t> join_fragments(Bytes bytes, std::size_t size) {
  std::vector<std::uint8_t> message;
  message.reserve(size);
  ByteReader reader(bytes);
  while (message.size() < size) {
    reader.take(kRecordHeadBytes - 2);
    const Bytes fragment = reader.take(std::min<std::size_t>(reader.take_u16(), reader.rest().size()));
    message.insert(message.end(), fragment.begin(), fragment.end());
  }
  return message;
}

}  // namespace

/// Judges what is there of a record's head at at_, and goes behind it when it is whole.
std::optional<ClientHelloParse> ClientHelloReader::enter_record(Bytes bytes) {
  const Bytes head = bytes.subspan(at_, std::min(kRecordHeadBytes, bytes.size() - at_));
  const bool is_record =
      (head.empty() || head[0] == kHandshakeRecord) && (head.size() < 2 || head[1] == kMajorVersion);
  if (!is_record && at_ == 0) return NoTls();
  if (!is_record) return malformed("client hello that something else breaks off");
  if (head.size() < kRecordHeadBytes) return more();
  const std::size_t fragment_bytes = ByteReader(head.subspan(3)).take_u16();
  if (fragment_bytes == 0) return malformed("client hello with an empty record");
  if (fragment_bytes > kMaxFragmentBytes) return malformed("client hello with a record over 16,384 bytes");
  at_ += kRecordHeadBytes;
  record_end_ = at_ + fragment_bytes;
  return std::nullopt;
}

/// Takes what is there of the message's type and length.
std::optional<ClientHelloParse> ClientHelloReader::take_message_head(Bytes bytes) {
  for (; message_bytes_ < kMessageHeadBytes && at_ < std::min(bytes.size(), record_end_); ++message_bytes_) {
    const std::uint8_t byte = bytes[at_++];
    if (message_bytes_ > 0)
      whole_bytes_ = whole_bytes_ << 8 | byte;
    else if (byte != kClientHelloMessage)
      return NoTls();
  }
  if (message_bytes_ == kMessageHeadBytes) whole_bytes_ += kMessageHeadBytes;
  return std::nullopt;
}

/// The least that the rest of the message takes, in the fewest records.
ClientHelloParse ClientHelloReader::more() const {
  const std::size_t whole = message_bytes_ < kMessageHeadBytes ? kMessageHeadBytes : whole_bytes_;
  const std::size_t missing = whole - message_bytes_;
  const std::size_t beyond_record = missing - std::min(missing, record_end_ - std::min(at_, record_end_));
  const std::size_t records = (beyond_record + kMaxFragmentBytes - 1) / kMaxFragmentBytes;
  const std::size_t at_least = at_ + missing + records * kRecordHeadBytes;
  if (at_least > kMaxClientHelloBytes) return malformed("client hello over 64 KiB");
  return NeedsMore{at_least};
}

ClientHelloParse ClientHelloReader::finish(Bytes bytes) const {
  const Bytes read = bytes.first(at_);
  if (at_ == kRecordHeadBytes + whole_bytes_)
    return parse_body(read.subspan(kRecordHeadBytes + kMessageHeadBytes));
  const auto message = join_fragments(read, whole_bytes_);
  return parse_body(Bytes(message).subspan(kMessageHeadBytes));
}

ClientHelloParse ClientHelloReader::read(Bytes bytes) {
  for (;;) {
    if (at_ == record_end_)
      if (auto answer = enter_record(bytes)) return *std::move(answer);
    if (message_bytes_ < kMessageHeadBytes)
      if (auto answer = take_message_head(bytes)) return *std::move(answer);
    if (message_bytes_ >= kMessageHeadBytes) {
      const std::size_t taken =
          std::min({bytes.size() - at_, record_end_ - at_, whole_bytes_ - message_bytes_});
      at_ += taken;
      message_bytes_ += taken;
      if (message_bytes_ == whole_bytes_) return at_ > kMaxClientHelloBytes ? more() : finish(bytes);
    }
    // At the end of each record, too: what cannot fit any more is known whether more has come or not.
    auto answer = more();
    if (at_ < record_end_ || std::holds_alternative<Malformed>(answer)) return answer;
  }
}

}  // namespace weir
