#include "lb/wire/crc32c.h"

#include <array>

namespace weir {
namespace {

/// The polynomial 0x1EDC6F41 (RFC 4960, appendix B), its bits in reverse.
constexpr std::uint32_t kPolynomial = 0x82f63b78;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ ((rest & 1) != 0 ? kPolynomial : 0);
    table[byte] = rest;
  }
  return table;
}

constexpr auto kTable = make_table();

}  // namespace

std::uint32_t crc32c(Bytes bytes, std::uint32_t before) {
  std::uint32_t rest = ~before;
  for (const std::uint8_t byte : bytes) rest = rest >> 8 ^ kTable[(rest ^ byte) & 0xff];
  return ~rest;
}

}  // namespace weir
