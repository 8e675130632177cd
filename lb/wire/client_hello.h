#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "lb/wire/bytes.h"

namespace weir {

/// How far a client's first message is read, from its first byte on.
inline constexpr std::size_t kMaxClientHelloBytes = std::size_t{64} << 10;

/// What a TLS client asks for by name. A value that owns what it holds.
class ClientHello {
 public:
  ClientHello() = default;
  ClientHello(std::string server_name, std::string alpn_list)
      : server_name_(std::move(server_name)), alpn_list_(std::move(alpn_list)) {}

  /// As sent, whatever it is: it may be an address, which names nobody. "" = none.
  const std::string& server_name() const { return server_name_; }
  /// The protocols it offers, in its order: RFC 7301's ProtocolNameList without its length, as sent, since
  /// thousands may be in 64 KiB. Well-formed. "" = none.
  const std::string& alpn_list() const { return alpn_list_; }

 private:
  std::string server_name_;
  std::string alpn_list_;
};

/// What begins otherwise than TLS does, with the bytes 22, 3 and a ClientHello: an SSLv2-framed hello, too,
/// which has no names.
struct NoTls {};

using ClientHelloParse = std::variant<NeedsMore, Malformed, NoTls, ClientHello>;

/// Reads the first message of a TLS client (RFC 8446, 4.1.2 and 5.1; the same since TLS 1.0) over any number
/// of records. Pure: no socket, no clock; on one thread at a time.
///
/// Only what keeps the names from being read is malformed: lengths, framing, the lists of names and
/// protocols, an extension twice, two names, an empty one, a NUL in the name. Framing is judged as soon as it
/// shows, the rest when the message is whole. Of an encrypted hello it is the outer name.
///
/// Remembers how far it has come: bytes that come one at a time cost O(1) each, the whole message O(its size)
/// once. Allocates at the end only; a message that is spread over several records is copied for as long as
/// the last call takes.
class ClientHelloReader {
 public:
  /// `bytes`: all that the client has said, from its first byte on; what was there at the last call still
  /// is. After an answer other than NeedsMore it is not called again. What is behind the message does not
  /// matter.
  ClientHelloParse read(Bytes bytes);

 private:
  std::optional<ClientHelloParse> enter_record(Bytes bytes);
  std::optional<ClientHelloParse> take_message_head(Bytes bytes);
  ClientHelloParse more() const;
  ClientHelloParse finish(Bytes bytes) const;

  std::size_t at_ = 0;             ///< what is before it has been looked at
  std::size_t record_end_ = 0;     ///< of the record that it is in; at_ = a record's head comes next
  std::size_t message_bytes_ = 0;  ///< of the message, before at_
  std::size_t whole_bytes_ = 0;    ///< of the whole message; known once its head, 4 bytes, is
};

}  // namespace weir
