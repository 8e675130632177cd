#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace weir::load {

/// The bytes that all modes send and expect: byte p of a stream is byte p mod kPeriod of a fixed random
/// sequence. The period is prime, so that a lost or doubled buffer of any usual size shows.
class Pattern {
 public:
  static constexpr std::size_t kPeriod = 65521;

  /// `longest`: of the pieces that at() is asked for.
  explicit Pattern(std::size_t longest) : bytes_(kPeriod + longest) {
    std::uint64_t state = 0x9e3779b97f4a7c15;
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      // xorshift64 (Marsaglia 2003)
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      bytes_[i] = i < kPeriod ? static_cast<char>(state >> 56) : bytes_[i - kPeriod];
    }
  }

  std::string_view at(std::uint64_t position, std::size_t size) const {
    return {bytes_.data() + position % kPeriod, size};
  }

 private:
  std::vector<char> bytes_;
};

}  // namespace weir::load
