#include "lb/convert/network_words.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <string>

#include "lb/convert/toml_words.h"

namespace weir::convert {

namespace {

/// The leading ones of 255.255.0.0; nothing where other bits are set.
std::optional<unsigned> bits_of_mask(const std::string& text) {
  in_addr mask{};
  if (inet_pton(AF_INET, text.c_str(), &mask) != 1) return std::nullopt;
  const auto value = ntohl(mask.s_addr);
  const auto bits = static_cast<unsigned>(std::countl_one(value));
  return static_cast<unsigned>(std::popcount(value)) == bits ? std::optional(bits) : std::nullopt;
}

}  // namespace

std::optional<Network> network_of(std::string_view text) {
  if (text == "unix") return Network();
  const auto slash = text.find('/');
  const auto host = text.substr(0, slash);
  const auto address = ClientAddress::parse_ip(host);
  if (!address || host.starts_with('[')) return std::nullopt;
  // Written as IPv6 and yet of 4 bytes: IPv4 behind 96 bits.
  const bool is_v6 = host.find(':') != host.npos;
  const unsigned written = is_v6 ? 128 : 32;
  const auto in_front = written - static_cast<unsigned>(address->ip().size() * 8);
  unsigned bits = written;
  if (slash != text.npos) {
    const std::string mask(text.substr(slash + 1));
    if (!is_v6 && mask.find('.') != mask.npos) {
      const auto ones = bits_of_mask(mask);
      if (!ones) return std::nullopt;
      bits = *ones;
    } else if (const auto number = number_in(mask, 0, written)) {
      bits = static_cast<unsigned>(*number);
    } else {
      return std::nullopt;
    }
  }
  if (bits < in_front) return std::nullopt;
  return Network::around(*address, bits - in_front);
}

bool is_server_name(std::string_view text) {
  constexpr std::size_t kMostName = 253, kMostLabel = 63;
  if (text == "*") return true;
  if (text.size() > kMostName || network_of(text)) return false;
  if (text.starts_with("*.")) text.remove_prefix(2);
  if (text.ends_with('.')) text.remove_suffix(1);
  while (true) {
    const auto dot = text.find('.');
    const auto label = text.substr(0, dot);
    const bool is_plain = std::ranges::all_of(label, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
             c == '_';
    });
    if (label.empty() || label.size() > kMostLabel || !is_plain) return false;
    if (dot == text.npos) return true;
    text.remove_prefix(dot + 1);
  }
}

}  // namespace weir::convert
