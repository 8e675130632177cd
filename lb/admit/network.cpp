#include "lb/admit/network.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace weir {
namespace {

constexpr unsigned kMappedBits = 96;  // RFC 4291, 2.5.5.2
constexpr std::string_view kForms = "write address, address/bits or unix";

struct Ip {
  std::array<std::uint8_t, 16> bytes{};
  std::size_t size = 0;

  bool is_mapped() const {
    constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return size == 16 && std::equal(kMapped.begin(), kMapped.end(), bytes.begin());
  }
};

std::optional<Ip> ip_of(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  Ip ip;
  if (inet_pton(AF_INET, terminated.c_str(), ip.bytes.data()) == 1)
    ip.size = 4;
  else if (inet_pton(AF_INET6, terminated.c_str(), ip.bytes.data()) == 1)
    ip.size = 16;
  else
    return std::nullopt;
  return ip;
}

/// Plain decimal, no zeroes in front, at most `most`.
std::optional<unsigned> bits_of(std::string_view text, unsigned most) {
  unsigned bits = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), bits);
  const bool is_plain = !text.empty() && (text.size() == 1 || text.front() != '0');
  if (!is_plain || status != std::errc{} || end != text.data() + text.size() || bits > most)
    return std::nullopt;
  return bits;
}

/// Of a byte, when `bits` bits are left for it and those behind it.
std::uint8_t mask_of(unsigned bits) {
  return static_cast<std::uint8_t>(bits >= 8 ? 0xffu : 0xff00u >> bits);
}

}  // namespace

Network::Network(std::span<const std::uint8_t> ip, unsigned bits)
    : size_(static_cast<std::uint8_t>(ip.size())), bits_(static_cast<std::uint8_t>(bits)) {
  for (unsigned i = 0; i * 8 < bits; ++i) bytes_[i] = ip[i] & mask_of(bits - i * 8);
}

Result<Network> Network::parse(std::string_view text) {
  if (text == "unix") return Network();
  const auto slash = text.find('/');
  auto ip = ip_of(text.substr(0, slash));
  if (!ip) return fail(fmt::format("\"{}\" is no network: {}", text, kForms));
  const auto most = static_cast<unsigned>(ip->size * 8);
  unsigned bits = most;
  if (slash != std::string_view::npos) {
    const auto given = bits_of(text.substr(slash + 1), most);
    if (!given)
      return fail(
          fmt::format("\"{}\" is no network: behind the / stands a number of bits, 0 to {}", text, most));
    bits = *given;
  }
  if (ip->is_mapped()) {
    if (bits < kMappedBits)
      return fail(
          fmt::format("\"{}\" holds more than IPv4 addresses in IPv6's form: give the IPv4 network by "
                      "itself, or 96 bits and more",
                      text));
    std::copy(ip->bytes.begin() + 12, ip->bytes.end(), ip->bytes.begin());
    ip->size = 4;
    bits -= kMappedBits;
  }
  const std::span<const std::uint8_t> bytes(ip->bytes.data(), ip->size);
  const Network network(bytes, bits);
  if (!std::ranges::equal(network.first(), bytes))
    return fail(fmt::format("\"{}\" has bits set behind its first {}: {} is meant, or the one address {}",
                            text, bits, network.to_string(),
                            Network(bytes, static_cast<unsigned>(ip->size * 8)).to_string()));
  return network;
}

Network Network::around(const ClientAddress& client, unsigned bits) {
  const auto ip = client.ip();
  return Network(ip, std::min(bits, static_cast<unsigned>(ip.size() * 8)));
}

bool Network::contains(const ClientAddress& client) const {
  return client.ip().size() == size_ && around(client, bits_) == *this;
}

bool Network::contains(const Network& other) const {
  return other.size_ == size_ && other.bits_ >= bits_ && Network(other.first(), bits_) == *this;
}

std::string Network::to_string() const {
  if (is_unix()) return "unix";
  char text[INET6_ADDRSTRLEN];
  inet_ntop(size_ == 4 ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
  return bits_ == size_ * 8 ? std::string(text) : fmt::format("{}/{}", text, bits_);
}

}  // namespace weir
