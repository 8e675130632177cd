#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace weir {

/// What nobody outside knows: drawn once by whoever makes the process's tables.
using HashKey = std::array<std::uint64_t, 2>;

/// SipHash-2-4 (Aumasson and Bernstein, 2012) of 17 bytes: two words and a tag. Without the key nobody finds
/// two inputs that meet, or many for one place of a table.
constexpr std::uint64_t keyed_hash(const HashKey& key, std::uint64_t first, std::uint64_t second,
                                   std::uint8_t tag) {
  std::uint64_t v0 = key[0] ^ 0x736f6d6570736575u;
  std::uint64_t v1 = key[1] ^ 0x646f72616e646f6du;
  std::uint64_t v2 = key[0] ^ 0x6c7967656e657261u;
  std::uint64_t v3 = key[1] ^ 0x7465646279746573u;
  const auto mix = [&](int rounds) {
    for (; rounds > 0; --rounds) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  };
  constexpr std::uint64_t kBytes = 17;
  for (const std::uint64_t word : {first, second, kBytes << 56 | tag}) {
    v3 ^= word;
    mix(2);
    v0 ^= word;
  }
  v2 ^= 0xff;
  mix(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace weir
