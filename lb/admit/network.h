#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include "lb/base/address.h"
#include "lb/base/error.h"

namespace weir {

/// The addresses that have their leading bits in common, or "unix": the clients without an address. A value;
/// mapped IPv6 is IPv4, as it is with clients, and an IPv6 network holds no IPv4 client, ::/0 neither.
class Network {
 public:
  Network() = default;  ///< "unix"

  /// Reads "address", "address/bits" or "unix". Bits that are set behind the first `bits` are an error that
  /// says what was meant. "::ffff:a.b.c.d/n" is "a.b.c.d/(n-96)"; n under 96 is an error.
  static Result<Network> parse(std::string_view text);
  /// What has `bits` leading bits (or all there are) in common with `client`.
  static Network around(const ClientAddress& client, unsigned bits);

  bool is_unix() const { return size_ == 0; }
  /// 4 or 16 bytes, or none; the host's bits are zero.
  std::span<const std::uint8_t> first() const { return {bytes_.data(), size_}; }
  unsigned bits() const { return bits_; }
  bool contains(const ClientAddress& client) const;
  bool contains(const Network& other) const;  ///< all of it
  std::string to_string() const;              ///< "10.0.0.0/8", "10.0.0.1", "2001:db8::/32", "unix"

  friend bool operator==(const Network&, const Network&) = default;
  /// unix, IPv4, IPv6, each by address, the wider network first.
  friend bool operator<(const Network& a, const Network& b) {
    return std::tie(a.size_, a.bytes_, a.bits_) < std::tie(b.size_, b.bytes_, b.bits_);
  }

 private:
  Network(std::span<const std::uint8_t> ip, unsigned bits);

  std::array<std::uint8_t, 16> bytes_{};
  std::uint8_t size_ = 0;
  std::uint8_t bits_ = 0;
};

}  // namespace weir
