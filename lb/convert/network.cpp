#include "lb/convert/network.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>

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

void clear_behind(std::array<std::uint8_t, 16>& bytes, unsigned bits) {
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned left = bits > i * 8 ? std::min(bits - i * 8, 8U) : 0;
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00U >> left));
  }
}

}  // namespace

std::optional<Network> Network::parse(std::string_view text) {
  if (text == "unix") return Network();
  const auto slash = text.find('/');
  const std::string host(text.substr(0, slash));
  if (host.find('\0') != std::string::npos) return std::nullopt;
  Network out;
  if (inet_pton(AF_INET, host.c_str(), out.bytes.data()) == 1)
    out.size = 4;
  else if (inet_pton(AF_INET6, host.c_str(), out.bytes.data()) == 1)
    out.size = 16;
  else
    return std::nullopt;
  out.bits = out.size * 8;
  if (slash != text.npos) {
    const std::string mask(text.substr(slash + 1));
    if (out.size == 4 && mask.find('.') != std::string::npos) {
      const auto bits = bits_of_mask(mask);
      if (!bits) return std::nullopt;
      out.bits = *bits;
    } else if (const auto bits = number_in(mask, 0, out.size * 8)) {
      out.bits = static_cast<unsigned>(*bits);
    } else {
      return std::nullopt;
    }
  }
  clear_behind(out.bytes, out.bits);
  return out;
}

bool Network::contains(const Network& other) const {
  if (size != other.size || bits > other.bits) return false;
  auto masked = other.bytes;
  clear_behind(masked, bits);
  return masked == bytes;
}

std::string Network::text() const {
  if (size == 0) return "unix";
  char host[INET6_ADDRSTRLEN];
  inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes.data(), host, sizeof host);
  return bits == size * 8 ? std::string(host) : fmt::format("{}/{}", host, bits);
}

bool is_server_name(std::string_view text) {
  constexpr std::size_t kMostName = 253, kMostLabel = 63;
  if (text == "*") return true;
  if (text.size() > kMostName || Network::parse(text)) return false;
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
