#include "tests/support/byte_pattern.h"

#include <algorithm>
#include <cstring>

namespace weir::test {
namespace {

/// The finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

}  // namespace

void BytePattern::fill(std::span<char> out, std::uint64_t offset) const {
  while (!out.empty()) {
    const std::uint64_t word = mix(seed_ * 0x9e3779b97f4a7c15U + offset / sizeof(std::uint64_t));
    const std::size_t within = offset % sizeof word;
    const std::size_t size = std::min(sizeof word - within, out.size());
    std::memcpy(out.data(), reinterpret_cast<const char*>(&word) + within, size);
    out = out.subspan(size);
    offset += size;
  }
}

std::string BytePattern::bytes(std::size_t size, std::uint64_t offset) const {
  std::string result(size, '\0');
  fill(result, offset);
  return result;
}

void PatternChecker::feed(std::string_view piece) {
  expected_.resize(piece.size());
  pattern_.fill(expected_, received_);
  intact_ = intact_ && expected_ == piece;
  received_ += piece.size();
}

}  // namespace weir::test
