#include "lb/balance/rendezvous.h"

#include <array>
#include <bit>

#include "lb/base/error.h"

namespace weir {
namespace {

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio, splitmix64's step

/// FNV-1a, finalized: it reads bytes, so the byte order of the machine does not matter.
std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return mix64(hash);
}

/// log2(1 + i/256) with 32 bits of fraction, by repeated squaring.
constexpr std::array<std::uint64_t, 257> make_log2_table() {
  std::array<std::uint64_t, 257> table{};
  for (std::uint64_t i = 0; i < 256; ++i) {
    std::uint64_t x = (256 + i) << 23;  // 1 to 2 with 31 bits of fraction
    for (int bit = 31; bit >= 0; --bit) {
      x = (x * x) >> 31;
      if (x >> 32 == 0) continue;
      x >>= 1;
      table[i] |= std::uint64_t{1} << bit;
    }
  }
  table[256] = std::uint64_t{1} << 32;
  return table;
}
constexpr std::array<std::uint64_t, 257> kLog2 = make_log2_table();

/// log2(x) with 32 bits of fraction, interpolated (off by less than 3e-6); x > 0. Never falls as x grows.
constexpr std::uint64_t log2_fixed(std::uint32_t x) {
  const auto whole = static_cast<std::uint64_t>(std::bit_width(x)) - 1;
  const std::uint64_t fraction = (std::uint64_t{x} << (32 - whole)) & 0xffffffffu;
  const std::size_t i = fraction >> 24;
  return (whole << 32) + kLog2[i] + (((kLog2[i + 1] - kLog2[i]) * (fraction & 0xffffffu)) >> 24);
}

/// Newton's iteration: each step doubles the right bits, 3 to begin with.
constexpr std::uint32_t inverse_of_odd(std::uint32_t factor) {
  std::uint32_t inverse = factor;
  for (int i = 0; i < 4; ++i) inverse *= 2 - factor * inverse;
  return inverse;
}

}  // namespace

Claim::Claim(std::string_view name, std::uint32_t weight, unsigned bits)
    : mask_((std::uint32_t{1} << bits) - 1),
      bits_(bits),
      weight_(weight),
      pace_((std::uint32_t{1} << 24) / weight),
      key_(hash_name(name)) {
  WEIR_CHECK(bits >= 1 && bits <= 30);
  std::uint64_t state = key_;
  for (Round& round : rounds_) {
    const std::uint64_t random = mix64(state += kGolden);
    round.addend = static_cast<std::uint32_t>(random);
    round.factor = static_cast<std::uint32_t>(random >> 32) | 1;
    round.inverse = inverse_of_odd(round.factor);
  }
}

// Each step can be undone: a sum and an odd product modulo a power of two, and an xor with the upper half,
// which is its own inverse.
std::uint32_t Claim::slot_of(std::uint32_t rank) const {
  const std::uint32_t half = (bits_ + 1) / 2;
  std::uint32_t x = rank;
  for (int i = 0; i < kRounds; ++i) {
    x = ((x + rounds_[i].addend) * rounds_[i].factor) & mask_;
    x ^= x >> half;
  }
  return x;
}

std::uint32_t Claim::rank_of(std::uint32_t slot) const {
  const std::uint32_t half = (bits_ + 1) / 2;
  std::uint32_t x = slot;
  for (int i = kRounds - 1; i >= 0; --i) {
    x ^= x >> half;
    x = (x * rounds_[i].inverse - rounds_[i].addend) & mask_;
  }
  return x;
}

std::uint64_t Claim::time_of_rank(std::uint32_t rank) const {
  // 1 - (rank + 1/2) / 2^bits = (2 (2^bits - rank) - 1) / 2^(bits + 1)
  const std::uint32_t left = 2 * (mask_ - rank) + 1;
  return (((std::uint64_t{bits_} + 1) << 32) - log2_fixed(left)) * pace_;
}

std::uint64_t Claim::lot(std::uint32_t slot) const {
  return mix64(key_ + slot);
}

}  // namespace weir
