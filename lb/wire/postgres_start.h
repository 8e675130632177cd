#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lb/wire/bytes.h"

namespace weir {

/// How a PostgreSQL client begins (PostgreSQL's documentation, "SSL Session Encryption", "GSSAPI Session
/// Encryption" and "Message Formats"): what it asks for is answered with one byte, after which it goes on,
/// with a ClientHello after a yes to SSLRequest, else with another request or its StartupMessage.
enum class PostgresStart : std::uint8_t {
  NeedsMore,
  SslRequest,
  GssRequest,
  Other  ///< a StartupMessage, a CancelRequest, TLS at once, or another protocol
};

/// The two requests have the same size.
inline constexpr std::size_t kPostgresRequestBytes = 8;

/// Their own length, and a number that no version of the protocol has.
inline constexpr std::string_view kPostgresSslRequest{"\0\0\0\x08\x04\xd2\x16\x2f", kPostgresRequestBytes};
inline constexpr std::string_view kPostgresGssRequest{"\0\0\0\x08\x04\xd2\x16\x30", kPostgresRequestBytes};

inline constexpr char kPostgresYes = 'S';  ///< to SSLRequest
inline constexpr char kPostgresNo = 'N';   ///< to either

/// What `bytes` begin with. Pure; any thread.
PostgresStart recognize_postgres(Bytes bytes);

}  // namespace weir
