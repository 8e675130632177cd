#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::convert {

/// Addresses with the same leading bits, or all clients without an address ("unix"). A value.
struct Network {
  std::array<std::uint8_t, 16> bytes{};
  unsigned size = 0;  ///< 4 or 16 bytes; 0 = unix
  unsigned bits = 0;

  /// "10.0.0.1", "10.0.0.0/8", "10.0.0.0/255.0.0.0", "2001:db8::/32", "unix". Bits behind the mask are
  /// cleared, as HAProxy and nginx do and Weir does not.
  static std::optional<Network> parse(std::string_view text);
  bool contains(const Network& other) const;
  /// As Weir writes it.
  std::string text() const;

  friend bool operator==(const Network&, const Network&) = default;
};

/// A name of a TLS server, or "*." and the end of one, or "*": what a route's sni takes.
bool is_server_name(std::string_view text);

}  // namespace weir::convert
