#include "tests/support/byte_pattern.h"

#include <algorithm>
#include <cstring>

namespace weir::test {
namespace {

constexpr std::size_t kPeriod = 65'521;  // the largest prime below 64 KiB

/// The finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

}  // namespace

BytePattern::BytePattern(std::uint64_t seed) {
  std::uint64_t state = seed;
  while (period_.size() < kPeriod) {
    const std::uint64_t word = mix(state += 0x9e3779b97f4a7c15U);
    period_.append(reinterpret_cast<const char*>(&word), std::min(sizeof word, kPeriod - period_.size()));
  }
}

std::string_view BytePattern::run(std::uint64_t offset) const {
  return std::string_view(period_).substr(offset % kPeriod);
}

void BytePattern::fill(std::span<char> out, std::uint64_t offset) const {
  while (!out.empty()) {
    const std::string_view source = run(offset).substr(0, out.size());
    std::memcpy(out.data(), source.data(), source.size());
    out = out.subspan(source.size());
    offset += source.size();
  }
}

std::string BytePattern::bytes(std::size_t size, std::uint64_t offset) const {
  std::string result(size, '\0');
  fill(result, offset);
  return result;
}

void PatternChecker::feed(std::string_view piece) {
  while (!piece.empty()) {
    const std::string_view expected = pattern_.run(received_).substr(0, piece.size());
    intact_ = intact_ && piece.starts_with(expected);
    received_ += expected.size();
    piece.remove_prefix(expected.size());
  }
}

}  // namespace weir::test
